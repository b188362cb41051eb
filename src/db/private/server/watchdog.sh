# shellcheck shell=sh
# Runs the server and never leaves it behind. Started by src/db/private/server.rs.
#
# arguments: the log, a folder to remove at the end (or ''), the server's command line
# stdin:     a pipe whose other end is held by the process that wants the server
# stdout:    the locked directory; the lock is held while any copy of this is open
# stderr:    a pipe: first the server's pid, then, if it fails, the end of its log

exec 3<&0 4>&1 5>&2 </dev/null
trap '' INT TERM HUP # only the pipe ends us, so that the server always ends first
log=$1 remove=$2
shift 2

[ ! -f "$log" ] || mv -f "$log" "$log.1"
# The server keeps a copy of the lock: it is free only when every backend is gone.
"$@" >"$log" 2>&1 3<&- 5>&- &
server=$!
echo "$server" >&5

# End of file, not a line, is what comes: our starter stopped, crashed or was killed.
(
    read -r _
    kill -INT "$server" # a fast shutdown
) <&3 >/dev/null 2>&1 4>&- 5>&- &
reader=$!

wait "$server"
status=$?
kill -KILL "$reader" 2>/dev/null
[ "$status" -eq 0 ] || tail -c 2000 "$log" >&5
[ -z "$remove" ] || rm -rf "$remove"
exit "$status"
