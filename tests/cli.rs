//! The program as a shell sees it: its streams and its exit codes.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose program cannot be started has failed"
)]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

#[path = "cli/settings.rs"]
mod settings;

const UNREACHABLE: i32 = 69;

const RIGHT: [(&str, &str); 3] = [
    // Nothing listens on port 1: a run that gets this far ends with another code.
    ("DATABASE_URL", "postgres://pgdial@127.0.0.1:1/pgdial"),
    ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9090"),
    (
        "PGDIAL_WEBHOOK_SECRETS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ),
];

/// Runs it without the tests' environment, in a folder without `.env`.
fn pgdial(args: &[&str], variables: &[(&str, &str)], stdin: &[u8]) -> Output {
    let folder = std::env::temp_dir();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgdial"))
        .args(args)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end before it reads its stdin.
    child.stdin.take().unwrap().write_all(stdin).ok();
    child.wait_with_output().unwrap()
}

fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut all = RIGHT.to_vec();
    all.retain(|(name, _)| changes.iter().all(|(other, _)| other != name));
    all.extend(changes.iter().filter(|(_, value)| *value != "-"));
    all
}

fn words(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn data(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    for args in [
        &["serve", "--no-such-flag"][..],
        &["enqueue"],
        &["no-such-command"],
        &[],
        &["campaigns", "set"],
        &["healthcheck", "https://localhost/"],
    ] {
        let output = pgdial(args, &[], b"");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            words(&output)
        );
        assert_eq!(data(&output), "", "{args:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let output = pgdial(&["--help"], &[], b"");
    assert_eq!(output.status.code(), Some(0));
    assert!(data(&output).contains("Exit codes:"));
    let release = format!("pgdial {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(data(&pgdial(&["-V"], &[], b"")), release);
    // The newest file of migrations/ says what this release needs.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = std::fs::read_dir(folder).unwrap();
    let number = |name: String| name.split('_').next()?.parse::<i32>().ok();
    let newest = files.filter_map(|file| number(file.unwrap().file_name().into_string().unwrap()));
    let newest = newest.max().unwrap();
    assert_eq!(
        data(&pgdial(&["--version"], &[], b"")),
        format!("{release}needs the schema at migration {newest}\n")
    );
}

#[test]
fn completions_and_manual_pages_are_made_from_the_commands() {
    for (shell, line) in [
        ("bash", "complete -F _pgdial"),
        ("zsh", "#compdef pgdial"),
        ("fish", "complete -c pgdial"),
    ] {
        let script = data(&pgdial(&["completions", shell], &[], b""));
        assert!(script.contains(line), "{shell}: {script}");
        // Commands and flags, including global ones.
        for word in ["doctor", "fake-provider", "metrics-listen", "database-url"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    let page = data(&pgdial(&["man"], &[], b""));
    assert!(
        page.contains(".TH pgdial 1") && page.contains("doctor"),
        "{page}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("man1");
    let output = pgdial(&["man", "--out", path.to_str().unwrap()], &[], b"");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    for page in ["pgdial.1", "pgdial-serve.1", "pgdial-campaigns-set.1"] {
        assert!(path.join(page).exists(), "{page}");
    }
}

#[test]
fn a_database_that_is_not_there_ends_with_69() {
    let output = pgdial(&["calls", "list"], &with(&[]), b"");
    assert_eq!(
        output.status.code(),
        Some(UNREACHABLE),
        "{}",
        words(&output)
    );
    assert!(words(&output).contains("hint: is DATABASE_URL right, and Postgres running there?"));
}

/// The secret with the arguments, the body, and the expected line.
type Vector<'v> = ((&'v str, Vec<&'v str>), &'v [u8], &'v str);

#[test]
fn signatures_are_those_of_the_published_vectors() {
    let order = br#"{"callId":"prov_123","status":"COMPLETED","durationSec":42,"completedAt":"2026-01-02T03:04:05Z"}"#;
    let node = br#"{"callId":"5574cf22-ccb1-42fb-94d5-8a04335db6b2","status":"COMPLETED","durationSec":25,"completedAt":"2025-07-23T12:00:00Z"}"#;
    let standard = |secret, id, at| (secret, vec!["--id", id, "--timestamp", at]);
    let plain = || ("supersecret", vec!["--scheme", "x-signature"]);
    let table: Vec<Vector<'_>> = vec![
        (
            standard(
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
            ),
            br#"{"test": 2432232314}"#,
            "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            standard(
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                "1649367553",
            ),
            br#"{"email":"test@example.com","username":"test_user"}"#,
            "webhook-signature: v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            standard(
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "evt_01",
                "1767323045",
            ),
            order,
            "webhook-signature: v1,Pne4Ex4RWVqmfZf2UVXwNjdRYkFFcDs8sfYE9N9TQ7M=",
        ),
        (
            plain(),
            order,
            "x-signature: 62a2d836c689cc362882cb295587880073c38821c114c97458823b7c1b502d01",
        ),
        (
            plain(),
            node,
            "x-signature: 1e1f0ab7864a60d184009f1211ca3d770f13231c7aeca8bd758caadeabe99902",
        ),
    ];
    for ((secret, args), body, line) in table {
        let variables = [("PGDIAL_WEBHOOK_SECRETS", secret)];
        let output = pgdial(&[vec!["sign", "-"], args].concat(), &variables, body);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        assert!(
            data(&output).lines().any(|printed| printed == line),
            "{}",
            data(&output)
        );
    }
}

#[test]
fn signing_prints_the_url_of_a_dial_and_a_line_for_the_shell() {
    let variables = [
        ("PGDIAL_WEBHOOK_SECRETS", "supersecret"),
        ("PGDIAL_PUBLIC_URL", "https://calls.example.com"),
    ];
    let reference = "0197f5e0-0000-7000-8000-000000000001-2";
    let output = pgdial(
        &["sign", "-", "--reference", reference, "--json"],
        &variables,
        b"{}",
    );
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let url = "https://calls.example.com/callbacks/call-status/default/0197f5e0-0000-7000-8000-000000000001-2/e3727b90cdc88c5208ad5caca6b457ce";
    assert_eq!(printed["url"], url);
    let curl = printed["curl"].as_str().unwrap();
    assert!(curl.starts_with("curl ") && curl.contains(url), "{curl}");
    assert!(
        printed["headers"]["webhook-id"]
            .as_str()
            .unwrap()
            .starts_with("evt_")
    );
}

#[test]
fn a_dry_run_of_an_import_needs_no_database() {
    let rows = b"to,scriptId,metadata.name\n+1 415 555 0100,welcome,Ada\n555,welcome,Bob\n";
    let output = pgdial(&["import", "-", "--dry-run"], &[], rows);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let data = data(&output);
    assert!(
        data.starts_with("line,result,id,code,detail\n2,valid,,,\n3,error,,invalid,"),
        "{data}"
    );
    let words = words(&output);
    assert!(
        words.ends_with("\n2 rows: 1 valid, 1 with errors\n"),
        "{words}"
    );
}

#[test]
fn an_import_of_a_file_that_is_not_there_or_not_ours_is_refused() {
    let output = pgdial(&["import", "/no/such/file.csv", "--dry-run"], &[], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).starts_with("error: /no/such/file.csv cannot be read"));
    let output = pgdial(&["import", "-", "--dry-run"], &[], b"scriptId,shoe size\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("its columns are \"scriptId\", \"shoe size\""));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgdial"))
        .args(["sign", "-"])
        .env_clear()
        .env("PGDIAL_WEBHOOK_SECRETS", "supersecret")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The reader leaves first; the body, and so the output, comes afterwards.
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"{}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_eq!(words(&output), "");
}

#[test]
fn a_health_check_is_the_answer_200() {
    use std::{io::Read, net::TcpListener, thread};
    for (status, code) in [
        ("200 OK", 0),
        ("503 Service Unavailable", 1),
        ("302 Found", 1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nlocation: /\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let output = pgdial(&["healthcheck", &url], &[], b"");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{status}: {}",
            words(&output)
        );
        assert!(
            answering
                .join()
                .unwrap()
                .starts_with("GET /readyz HTTP/1.1\r\n")
        );
    }
    let output = pgdial(&["healthcheck", "http://127.0.0.1:1/"], &[], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words(&output).contains("did not answer"),
        "{}",
        words(&output)
    );
}
