//! Wrong settings, as the person who starts the program sees them.

use super::{data, pgdial, with, words};

const SETTINGS: i32 = 64;

#[test]
fn a_wrong_setting_is_named_explained_and_ends_with_64() {
    let table: &[(&str, &str, &str)] = &[
        ("DATABASE_URL", "-", "is not set"),
        (
            "DATABASE_URL",
            "mysql://localhost/x",
            "must begin with postgres://",
        ),
        (
            "DATABASE_URL",
            "postgres://localhost:port/x",
            "which is not a number up to 65535",
        ),
        (
            "DATABASE_URL",
            "postgres://a:change-me@localhost/x",
            "placeholder",
        ),
        ("PGDIAL_LISTEN", "8080", "not an IP address with a port"),
        (
            "PGDIAL_LISTEN",
            "calls.example.com:8080",
            "not an IP address with a port",
        ),
        (
            "PGDIAL_PUBLIC_URL",
            "calls.example.com",
            "not http:// or https://",
        ),
        (
            "PGDIAL_PUBLIC_URL",
            "https://calls.example.com/?a=1",
            "without user, query or fragment",
        ),
        (
            "PGDIAL_PROVIDER_URL",
            "-",
            "trunk `default` needs the address of its provider",
        ),
        (
            "PGDIAL_PROVIDER_URL",
            "voice.example.com",
            "http:// or https://",
        ),
        ("PGDIAL_PROVIDER_KEY", "two words", "visible ASCII"),
        ("PGDIAL_PROVIDER_KEY", "change-me", "placeholder"),
        ("PGDIAL_WEBHOOK_SECRETS", "-", "is not set"),
        ("PGDIAL_WEBHOOK_SECRETS", "", "has an empty place"),
        ("PGDIAL_WEBHOOK_SECRETS", "supersecret", "placeholder"),
        ("PGDIAL_WEBHOOK_SECRETS", "whsec_***", "not base64"),
        ("PGDIAL_API_KEYS", "crm", "entry 1 is not name:key"),
        (
            "PGDIAL_WEBHOOK_SECRETS",
            "whsec_c2hvcnQ=",
            "has a secret of 5 bytes: at least 24",
        ),
        (
            "PGDIAL_WEBHOOK_SECRETS",
            "this one is long enough for it,a-short-one-behind-it",
            "has a secret of 21 bytes: at least 24",
        ),
        ("PGDIAL_API_KEYS", "crm:short", "at least 24"),
        (
            "PGDIAL_API_KEYS",
            "a:0123456789abcdef01234567,b:0123456789abcdef01234567",
            "the same key twice",
        ),
        ("PGDIAL_PERMITS", "0", "a whole number from 1 to 1000"),
        ("PGDIAL_PERMITS", "1001", "a whole number from 1 to 1000"),
        ("PGDIAL_KEEP_FINISHED", "a while", "no length of time"),
        ("PGDIAL_POLL", "30", "without a unit"),
        ("PGDIAL_GRACE", "3h", "not between 0s and 1h"),
        ("PGDIAL_LOG", "a=b=c", "no filter"),
        ("PGDIAL_LOG_FORMAT", "xml", "text or json"),
        ("PGDIAL_MIGRATE", "perhaps", "neither true nor false"),
    ];
    for (name, value, what) in table {
        let output = pgdial(&["serve"], &with(&[(name, value)]), b"");
        let words = words(&output);
        assert_eq!(
            output.status.code(),
            Some(SETTINGS),
            "{name}={value}: {words}"
        );
        assert!(
            words.contains(&format!("error: a setting is wrong: {name}")),
            "{name}={value}: {words}"
        );
        assert!(words.contains(what), "{name}={value}: {words}");
        assert!(
            words.contains(&format!("; for example {name}=")),
            "{name}={value}: {words}"
        );
        assert_eq!(data(&output), "", "{name}={value}");
    }
}

#[test]
fn no_secret_is_taken_from_the_command_line() {
    for url in [
        "postgres://pgdial:secret@localhost/pgdial",
        "postgres://localhost/pgdial?user=pgdial&password=secret",
    ] {
        let output = pgdial(&["calls", "list", "--database-url", url], &with(&[]), b"");
        let words = words(&output);
        assert_eq!(output.status.code(), Some(SETTINGS), "{words}");
        assert!(
            words.contains("has a password on the command line"),
            "{words}"
        );
        assert!(
            !words.contains("secret@") && !words.contains("=secret"),
            "{words}"
        );
    }
    for (command, flag) in [
        ("sign", "--secret"),
        ("fake-provider", "--webhook-secrets"),
        ("fake-provider", "--key"),
    ] {
        let output = pgdial(&[command, flag, "x"], &with(&[]), b"");
        assert!(
            words(&output).contains(&format!("unexpected argument '{flag}'")),
            "{}",
            words(&output)
        );
    }
}

#[test]
fn listening_to_strangers_needs_a_public_url() {
    let output = pgdial(&["serve", "--listen", "0.0.0.0:0"], &with(&[]), b"");
    let words = words(&output);
    assert_eq!(output.status.code(), Some(SETTINGS), "{words}");
    assert!(
        words.contains("PGDIAL_PUBLIC_URL (--public-url) is not set"),
        "{words}"
    );
}

#[test]
fn all_wrong_settings_are_reported_at_once() {
    let changes = [
        ("PGDIAL_PERMITS", "0"),
        ("PGDIAL_GRACE", "x"),
        ("PGDIAL_WEBHOOK_SECRETS", "-"),
    ];
    let output = pgdial(&["work", "--poll", "never"], &with(&changes), b"");
    let words = words(&output);
    assert_eq!(output.status.code(), Some(SETTINGS));
    assert!(
        words.starts_with("error: 4 settings are wrong:\n"),
        "{words}"
    );
    for name in [
        "PGDIAL_PERMITS (--permits)",
        "PGDIAL_GRACE",
        "PGDIAL_WEBHOOK_SECRETS",
        "PGDIAL_POLL (--poll)",
    ] {
        assert!(words.contains(&format!("\n  {name}")), "{words}");
    }
}

#[test]
fn a_named_file_of_variables_must_be_there_and_the_environment_wins_over_it() {
    let output = pgdial(&["serve", "--env-file", "/no/such/file"], &with(&[]), b"");
    assert_eq!(output.status.code(), Some(SETTINGS));
    assert!(words(&output).contains("PGDIAL_ENV_FILE (--env-file)"));

    let file = std::env::temp_dir().join(format!("pgdial-cli-test-{}.env", std::process::id()));
    std::fs::write(&file, "PGDIAL_PERMITS=0\nPGDIAL_GRACE=soon\n").unwrap();
    let path = file.to_str().unwrap();
    let output = pgdial(
        &["serve", "--env-file", path],
        &with(&[("PGDIAL_PERMITS", "5")]),
        b"",
    );
    std::fs::remove_file(&file).unwrap();
    let words = words(&output);
    assert!(
        words.starts_with("error: a setting is wrong: PGDIAL_GRACE"),
        "{words}"
    );
}
