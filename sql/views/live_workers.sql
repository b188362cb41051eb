-- live_workers: the processes that were seen within three heartbeats and are not stopping. One that is draining
-- is alive, and claims nothing.
create or replace view pgdial.live_workers as
select w.id, w.host, w.pid, w.release, w.permits, w.trunks, w.accounts, w.started_at, w.seen_at, w.draining
from pgdial.workers w
where not w.stopping and w.seen_at > (select pgdial.now()) - '45 seconds'::interval;
