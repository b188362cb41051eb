use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use pgdial::domain::Outcome;
use serde_json::Value;

use super::{DONE, REFUSED, USAGE, pgdial};
use crate::support::{ended, number, processes::Machine};

/// A running command and its lines.
struct Tail {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tail {
    fn start(machine: &Machine, args: &[&str]) -> Self {
        let mut command: Command = machine.command(&["calls", "tail"]);
        let command = command
            .args(args)
            .env("PGDIAL_LOG", "off")
            .stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// Sends Ctrl-C; returns the exit code.
    fn interrupt(mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_for_people_are_masked_and_those_for_programs_go_on_where_they_ended() {
    let machine = Machine::new().await;
    let call = machine.db.in_call(&number(1)).await;
    let mut people = Tail::start(&machine, &["--since", "start"]);
    let mut programs = Tail::start(
        &machine,
        &["--since", "10m", "--json", "--kind", "active,failed"],
    );
    for kind in ["waiting", "active", "in_call"] {
        let line = people.line();
        assert!(
            line.contains(kind) && line.contains("+141******01"),
            "{line}"
        );
        assert!(
            !line.contains('\u{1b}') && !line.contains("+1415555"),
            "{line}"
        );
    }
    let active: Value = serde_json::from_str(&programs.line()).unwrap();
    assert_eq!(
        (&active["kind"], &active["to"]),
        (&"active".into(), &number(1).into())
    );
    machine
        .db
        .event(&call, "end", ended(Outcome::Declined))
        .await;
    assert!(people.line().contains("outcome=declined"));
    let failed: Value = serde_json::from_str(&programs.line()).unwrap();
    assert_eq!(failed["kind"], "failed");
    assert_eq!((people.interrupt(), programs.interrupt()), (DONE, DONE));
    let mut again = Tail::start(
        &machine,
        &["--json", "--after", active["cursor"].as_str().unwrap()],
    );
    let next: Value = serde_json::from_str(&again.line()).unwrap();
    assert_eq!(next["kind"], "in_call");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_it_well() {
    let machine = Machine::new().await;
    let mut tail = Tail::start(&machine, &["--since", "start"]);
    machine.db.enqueue(&number(1)).await;
    assert!(tail.line().contains("waiting"));
    let Tail { ref mut child, .. } = tail;
    let mut child = std::mem::replace(child, Command::new("true").spawn().unwrap());
    drop(tail);
    // Two lines, because the first may still fit into the pipe that nobody reads.
    machine.db.enqueue(&number(2)).await;
    machine.db.enqueue(&number(3)).await;
    let code = tokio::task::spawn_blocking(move || child.wait().unwrap().code());
    assert_eq!(code.await.unwrap(), Some(DONE));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused() {
    let machine = Machine::new().await;
    let tail = |args: &[&str]| pgdial(&machine, &[&["calls", "tail"], args].concat());
    tail(&["--since", "yesterday"])
        .refused(USAGE, "write an instant, a length of time, or `start`");
    tail(&["--since", "10m", "--after", "x"]).refused(USAGE, "cannot be used with");
    tail(&["--after", "x"]).refused(USAGE, "not a cursor");
    tail(&["--after", "1-abc-1-2-3-4"]).refused(REFUSED, "another database");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_needs_a_terminal_and_says_what_does_not() {
    let machine = Machine::new().await;
    pgdial(&machine, &["top"]).refused(USAGE, "`pgdial ops live`");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_fills_a_terminal_and_gives_it_back() {
    let machine = Machine::new().await;
    machine.db.in_call(&number(1)).await;
    // Uses the terminal that `script` provides; skipped where there is none.
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let program = machine.command(&["top"]).get_program().to_owned();
    let mut command = machine.command(&[]);
    let mut script = Command::new("script");
    let line = format!("stty rows 30 cols 100; {} top", program.to_str().unwrap());
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    for (name, value) in command.env("TERM", "xterm").get_envs() {
        if let Some(value) = value {
            script.env(name, value);
        }
    }
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = String::new();
    let mut screen = child.stdout.take().unwrap();
    let mut keys = child.stdin.take().unwrap();
    let (seen, code) = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut bytes = [0; 4096];
        let mut was_left = false;
        loop {
            let count = screen.read(&mut bytes).unwrap_or(0);
            if count == 0 {
                break;
            }
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            if !was_left && seen.contains("******01") {
                keys.write_all(b"q").unwrap();
                was_left = true;
            }
        }
        (seen, child.wait().unwrap().code())
    })
    .await
    .unwrap();
    assert_eq!(code, Some(DONE), "{seen}");
    // It enters and leaves the alternate screen, and shows the cursor again.
    for sequence in ["\u{1b}[?1049h", "\u{1b}[?1049l", "\u{1b}[?25h"] {
        assert!(seen.contains(sequence), "{sequence:?} is not in {seen:?}");
    }
}
