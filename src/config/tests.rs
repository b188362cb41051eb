use std::{
    collections::{BTreeMap, BTreeSet},
    fs, iter,
    path::Path,
};

use secrecy::ExposeSecret;

use super::*;
use crate::domain::AnsweringMachine;
use crate::provider::{
    Idempotency, LookUps, Webhooks,
    adapters::{ADAPTERS, Given},
};

const RIGHT: [(&str, &str); 3] = [
    ("DATABASE_URL", "postgres://pgdial@localhost/pgdial"),
    ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9090"),
    (
        "PGDIAL_WEBHOOK_SECRETS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ),
];

/// Right settings, with these on top; a hyphen takes one away.
fn variables(changes: &[(&str, &str)]) -> Variables {
    let kept = RIGHT
        .iter()
        .filter(|(name, _)| changes.iter().all(|(other, _)| other != name));
    let set = changes.iter().filter(|(_, value)| *value != "-");
    kept.chain(set).copied().collect()
}

fn read(changes: &[(&str, &str)], api: Api) -> Result<(Settings, Vec<String>), Problems> {
    Settings::read(
        &Common::default(),
        &Flags::default(),
        &variables(changes),
        api,
    )
}

fn right(changes: &[(&str, &str)]) -> Settings {
    read(changes, Api::Open)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .0
}

fn wrong(changes: &[(&str, &str)]) -> String {
    read(changes, Api::Open).unwrap_err().to_string()
}

#[test]
fn three_settings_are_enough_on_one_host() {
    let (run, warnings) = read(&[], Api::Open).unwrap();
    assert_eq!(run.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(run.worker.public_url, "http://127.0.0.1:8080");
    assert_eq!(run.worker.trunks.names(), ["default"]);
    assert_eq!((run.worker.permits, run.migrate), (30, false));
    assert_eq!(run.worker.keep_finished, Some(Duration::from_hours(7 * 24)));
    assert_eq!(run.worker.poll, Some(Duration::from_secs(30)));
    assert_eq!(run.grace, Duration::from_secs(35));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("listening on 127.0.0.1:8080 only"),
        "{warnings:?}"
    );
}

#[test]
fn a_worker_alone_needs_no_keys_and_is_not_warned_about_them() {
    let (_, warnings) = read(&[], Api::Closed).unwrap();
    assert_eq!(warnings, [""; 0]);
    let outside = [
        ("PGDIAL_LISTEN", "0.0.0.0:80"),
        ("PGDIAL_PUBLIC_URL", "https://calls.example.com"),
    ];
    // Whether there are keys in the database, they cannot know.
    for api in [Api::Closed, Api::Open] {
        let (_, warnings) = read(&outside, api).unwrap();
        assert_eq!(warnings, [""; 0], "{api:?}");
    }
}

#[test]
fn every_setting_is_read() {
    let run = right(&[
        ("PGDIAL_LISTEN", "[::]:9000"),
        ("PGDIAL_PUBLIC_URL", "https://calls.example.com/x/"),
        ("PGDIAL_PROVIDER_KEY", "key-of-ours"),
        (
            "PGDIAL_API_KEYS",
            "crm:0123456789abcdef01234567, ops:fedcba987654321001234567",
        ),
        ("PGDIAL_PERMITS", "1000"),
        ("PGDIAL_KEEP_FINISHED", "forever"),
        ("PGDIAL_POLL", "off"),
        ("PGDIAL_GRACE", "1m 5s"),
        ("PGDIAL_MIGRATE", "yes"),
        ("PGDIAL_LOG", "warn,pgdial=debug"),
        ("PGDIAL_LOG_FORMAT", "json"),
    ]);
    assert_eq!(run.worker.public_url, "https://calls.example.com/x");
    let names: Vec<&str> = run.api_keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["crm", "ops"]);
    assert_eq!((run.worker.keep_finished, run.worker.poll), (None, None));
    assert_eq!(run.grace, Duration::from_secs(65));
    assert!(run.migrate);
    assert_eq!(run.worker.permits, 1000);
}

/// The table of docs/CONFIGURATION.md: what is known, with the defaults that help and program have.
#[test]
fn the_documented_settings_are_those_that_are_read() {
    let page = include_str!("../../docs/CONFIGURATION.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let names = cells.next()?.split(", ").map(|name| name.trim_matches('`'));
        let defaults = cells.next()?.split(", ").map(str::to_owned);
        let defaults = defaults.chain(iter::repeat(String::new()));
        Some(names.zip(defaults).collect::<Vec<_>>())
    });
    let is_setting = |name: &str| name.starts_with("PGDIAL_") || name == "DATABASE_URL";
    let documented: BTreeMap<&str, String> = rows
        .flatten()
        .filter(|(name, _)| is_setting(name) && !name.ends_with("..."))
        .collect();
    // For a private server, and for docker-compose.yml.
    let others = ["PGDIAL_PG_BINDIR", "PGDIAL_PORT"];
    let told = documented
        .keys()
        .chain(&others)
        .map(|name| (*name).to_owned());
    let known: BTreeSet<String> = names::known().into_iter().collect();
    assert_eq!(told.collect::<BTreeSet<String>>(), known);
    for flag in flags::all().get_arguments() {
        let Some(name) = flag.get_long().map(flags::variable_of) else {
            continue;
        };
        let help = flag.get_help().unwrap().to_string();
        let told = help.split_once("Default: ").map(|(_, told)| told);
        let default = documented[name.as_str()]
            .strip_prefix('`')
            .and_then(|text| text.strip_suffix('`'));
        match default {
            Some(default) => {
                assert!(
                    told.is_some_and(|told| told.starts_with(default)),
                    "{name}: {help}"
                );
                if name != "PGDIAL_ENV_FILE" {
                    let same = format!("{:?}", right(&[(&name, default)]));
                    assert_eq!(same, format!("{:?}", right(&[])), "{name}={default}");
                }
            }
            None => assert!(
                told.is_none_or(|told| !told.starts_with(char::is_numeric)),
                "{help}"
            ),
        }
    }
}

#[test]
fn nothing_kept_is_a_length_of_time_too() {
    assert_eq!(
        right(&[("PGDIAL_KEEP_FINISHED", "0s")])
            .worker
            .keep_finished,
        Some(Duration::ZERO)
    );
}

#[test]
fn a_flag_wins_over_the_variable() {
    let flags = Flags {
        permits: Some("5".to_owned()),
        ..Flags::default()
    };
    let variables = variables(&[("PGDIAL_PERMITS", "6")]);
    let (run, _) = Settings::read(&Common::default(), &flags, &variables, Api::Closed).unwrap();
    assert_eq!(run.worker.permits, 5);
}

#[test]
fn other_trunks_have_variables_of_their_own() {
    let other = [
        (
            "PGDIAL_TRUNK_EU_WEST_PROVIDER_URL",
            "https://eu.example.com",
        ),
        ("PGDIAL_TRUNK_EU_WEST_PROVIDER_KEY", "key-of-ours"),
        (
            "PGDIAL_TRUNK_EU_WEST_WEBHOOK_SECRETS",
            "one-secret-long-enough-for-it,another-secret-of-enough-bytes",
        ),
    ];
    assert_eq!(right(&other).worker.trunks.names(), ["default", "eu_west"]);
    let alone = [
        other.as_slice(),
        &[
            ("PGDIAL_PROVIDER_URL", "-"),
            ("PGDIAL_WEBHOOK_SECRETS", "-"),
        ],
    ]
    .concat();
    assert_eq!(right(&alone).worker.trunks.names(), ["eu_west"]);
}

#[test]
fn an_incomplete_trunk_names_the_missing_variable() {
    let words = wrong(&[("PGDIAL_TRUNK_EU_PROVIDER_URL", "https://eu.example.com")]);
    assert!(
        words.contains("PGDIAL_TRUNK_EU_WEBHOOK_SECRETS is not set"),
        "{words}"
    );
    let words = wrong(&[(
        "PGDIAL_TRUNK_EU_WEBHOOK_SECRETS",
        "one-secret-that-is-long-enough",
    )]);
    assert!(
        words.contains("PGDIAL_TRUNK_EU_PROVIDER_URL is not set"),
        "{words}"
    );
    let words = wrong(&[(
        "PGDIAL_TRUNK_DEFAULT_PROVIDER_URL",
        "https://eu.example.com",
    )]);
    assert!(
        words.contains("whose variables are PGDIAL_CARRIER, "),
        "{words}"
    );
    let words = wrong(&[("PGDIAL_TRUNK_9_PROVIDER_URL", "https://eu.example.com")]);
    assert!(words.contains("begins with a letter"), "{words}");
}

#[test]
fn a_trunk_of_a_platform_is_told_what_its_adapter_needs() {
    let retell = [
        ("PGDIAL_TRUNK_EU_PROVIDER", "retell"),
        (
            "PGDIAL_TRUNK_EU_PROVIDER_KEY",
            "key_0123456789abcdef0123456789",
        ),
        ("PGDIAL_TRUNK_EU_FROM", "+1 415 555 0100"),
        (
            "PGDIAL_TRUNK_EU_SCRIPTS",
            "welcome=agent_1, spring=agent_2@3",
        ),
    ];
    let run = right(&retell);
    assert_eq!(
        run.grace,
        Duration::from_secs(125),
        "a dial there may take long"
    );
    let trunk = run.worker.trunks.get("eu").unwrap();
    let account = trunk.provider.account().unwrap();
    assert!(account.starts_with("retell api.retellai.com "), "{account}");
    let with = |change: (&'static str, &'static str)| {
        let mut all = retell.to_vec();
        all.retain(|(name, _)| *name != change.0);
        all.push(change);
        wrong(&all)
    };
    for (change, words) in [
        (
            ("PGDIAL_TRUNK_EU_PROVIDER", "retel"),
            "PGDIAL_TRUNK_EU_PROVIDER is \"retel\", and must be one of http, retell, vapi, twilio, telnyx, bland, elevenlabs",
        ),
        (
            ("PGDIAL_TRUNK_EU_PROVIDER_KEY", ""),
            "PGDIAL_TRUNK_EU_PROVIDER_KEY is empty",
        ),
        (
            ("PGDIAL_TRUNK_EU_PROVIDER_KEY", "short"),
            "PGDIAL_TRUNK_EU_PROVIDER_KEY has a secret of 5 bytes: at least 24 are needed; for example PGDIAL_TRUNK_EU_PROVIDER_KEY=the key",
        ),
        (
            ("PGDIAL_TRUNK_EU_FROM", "0100"),
            "PGDIAL_TRUNK_EU_FROM cannot be used",
        ),
        (
            ("PGDIAL_TRUNK_EU_SCRIPTS", "welcome"),
            "PGDIAL_TRUNK_EU_SCRIPTS cannot be used: \"welcome\" is not of the form NAME=ID",
        ),
        (
            ("PGDIAL_TRUNK_EU_PROVIDER_URL", "ftp://x"),
            "PGDIAL_TRUNK_EU_PROVIDER_URL cannot be used",
        ),
        (
            ("PGDIAL_FROM", "+14155550100"),
            "PGDIAL_FROM means nothing to the adapter http",
        ),
    ] {
        let said = with(change);
        assert!(said.contains(words), "{change:?}: {said}");
    }
}

#[test]
fn every_wrong_setting_is_reported_and_none_of_its_secrets() {
    let problems = read(
        &[
            ("DATABASE_URL", "mysql://root:hidden@localhost/x"),
            ("PGDIAL_LISTEN", "8080"),
            ("PGDIAL_PERMITS", "0"),
            ("PGDIAL_API_KEYS", "crm:hidden,:hidden-hidden-hidden"),
            ("PGDIAL_WEBHOOK_SECRETS", "-"),
            ("PGDIAL_WEBHOOK_SECRET", "hidden"),
            ("PGDIAL_LOG", "a=b=c"),
        ],
        Api::Open,
    )
    .unwrap_err();
    let names: Vec<&str> = problems
        .iter()
        .map(|problem| problem.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "PGDIAL_LOG",
            "DATABASE_URL",
            "PGDIAL_LISTEN",
            "PGDIAL_WEBHOOK_SECRETS",
            "PGDIAL_API_KEYS",
            "PGDIAL_API_KEYS",
            "PGDIAL_PERMITS",
        ]
    );
    let words = problems.to_string();
    assert!(
        words.contains("did you mean PGDIAL_WEBHOOK_SECRETS?"),
        "{words}"
    );
    assert!(!words.contains("hidden"), "{words}");
}

#[test]
fn secrets_of_examples_are_refused() {
    for (name, value) in [
        ("PGDIAL_WEBHOOK_SECRETS", "change-me"),
        ("PGDIAL_WEBHOOK_SECRETS", "CHANGE_ME"),
        ("PGDIAL_WEBHOOK_SECRETS", "supersecret"),
        (
            "PGDIAL_WEBHOOK_SECRETS",
            "a-good-and-long-secret,supersecret",
        ),
        ("PGDIAL_WEBHOOK_SECRETS", "whsec_change-me"),
        ("PGDIAL_WEBHOOK_SECRETS", ""),
        ("PGDIAL_WEBHOOK_SECRETS", "a-good-and-long-secret,"),
        ("PGDIAL_PROVIDER_KEY", "change-me"),
        ("PGDIAL_PROVIDER_KEY", ""),
        ("PGDIAL_API_KEYS", "crm:change-me-change-me"),
        ("PGDIAL_API_KEYS", ""),
        (
            "DATABASE_URL",
            "postgres://pgdial:change-me@localhost/pgdial",
        ),
    ] {
        let words = wrong(&[(name, value)]);
        assert!(
            words.contains(&format!("wrong: {name}")),
            "{name}={value}: {words}"
        );
    }
}

#[test]
fn a_loopback_address_is_no_place_for_webhooks_from_elsewhere() {
    let (_, warnings) = read(
        &[("PGDIAL_PROVIDER_URL", "https://voice.example.com")],
        Api::Closed,
    )
    .unwrap();
    assert!(
        warnings[0].contains("cannot send its webhooks there"),
        "{warnings:?}"
    );
}

#[test]
fn a_provider_that_is_reached_in_the_clear_is_said() {
    let clear = |url: &str| {
        let names = ["PGDIAL_PROVIDER_URL", "PGDIAL_TRUNK_EU_PROVIDER_URL"];
        let changes = [
            (names[0], url),
            (names[1], url),
            (
                "PGDIAL_TRUNK_EU_WEBHOOK_SECRETS",
                "long-enough-to-be-used-here",
            ),
            ("PGDIAL_PUBLIC_URL", "https://calls.example.com"),
        ];
        let (_, warnings) = read(&changes, Api::Closed).unwrap();
        names.map(|name| {
            let said = |words: &&String| words.starts_with(name) && words.contains("https://");
            warnings.iter().filter(said).count()
        })
    };
    for open in [
        "http://voice.example.com",
        "http://10.0.0.7:9090",
        "http://[fd00::7]",
    ] {
        assert_eq!(clear(open), [1, 1], "{open}");
    }
    for fine in [
        "https://voice.example.com",
        "http://127.0.0.1:9090",
        "http://[::1]:9090",
        "http://provider:9090",
    ] {
        assert_eq!(clear(fine), [0, 0], "{fine}");
    }
}

#[test]
fn what_is_known_about_a_process_shows_no_secret() {
    let run = right(&[
        ("DATABASE_URL", "postgres://pgdial:hidden@localhost/pgdial"),
        ("PGDIAL_PROVIDER_KEY", "hidden-key"),
        ("PGDIAL_API_KEYS", "crm:hidden-hidden-hidden-hidden"),
        ("PGDIAL_WEBHOOK_SECRETS", "hidden-and-by-far-long-enough"),
    ]);
    assert!(run.database_url.expose_secret().contains("hidden"));
    let shown = format!("{run:?}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn a_database_is_all_that_most_commands_need() {
    let url = database_url(&Common::default(), &variables(&[])).unwrap();
    assert_eq!(url.expose_secret(), RIGHT[0].1);
    let missing = database_url(&Common::default(), &Variables::default()).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("DATABASE_URL (--database-url) is not set")
    );
}

#[test]
fn signing_by_hand_takes_any_secret() {
    let known = variables(&[("PGDIAL_WEBHOOK_SECRETS", "supersecret")]);
    assert!(webhook_secrets(&known, "default").is_ok());
    let missing = webhook_secrets(&known, "eu").unwrap_err().to_string();
    assert!(
        missing.contains("PGDIAL_TRUNK_EU_WEBHOOK_SECRETS is not set"),
        "{missing}"
    );
}

/// The table of docs/providers/README.md shows what the adapters declare.
#[test]
fn the_table_of_platforms_shows_what_they_declare() {
    let page = include_str!("../../docs/providers/README.md");
    for adapter in ADAPTERS.iter().skip(1) {
        let example = |name: &str| {
            let setting = adapter.settings.iter().find(|setting| setting.name == name);
            setting.map(|setting| {
                if setting.is_secret {
                    "secret"
                } else {
                    setting.example
                }
            })
        };
        let provider = (adapter.build)(&Given(&example)).unwrap();
        let can = provider.capabilities();
        let said = |is: Option<bool>| if is.unwrap() { "yes" } else { "no" };
        let spoken = |time| humantime::format_duration(time).to_string();
        let cells = [
            match can.look_up.unwrap() {
                LookUps::None => "nothing",
                LookUps::ById => "id",
                LookUps::Hint => "id, reference",
                LookUps::Authoritative => "id, reference, and absence proves it",
            }
            .to_owned(),
            match can.idempotency.unwrap() {
                Idempotency::None => "rings again".to_owned(),
                Idempotency::Untried(kept) => format!("rings once for {}, untried", spoken(kept)),
                Idempotency::Honoured(kept) => format!("rings once for {}", spoken(kept)),
            },
            said(can.cancels).to_owned(),
            match can.webhooks.unwrap() {
                Webhooks::PerCall => "per call",
                Webhooks::PerAccount => "per account",
            }
            .to_owned(),
            said(can.lists).to_owned(),
            can.calls_per_second
                .map_or("-".to_owned(), |pace| pace.to_string()),
            spoken(can.place_timeout),
            match can.answering_machine.unwrap() {
                [] => "nothing",
                [AnsweringMachine::HangUp] => "hang up",
                _ => "hang up, leave message",
            }
            .to_owned(),
        ];
        let row = format!("]({}.md) | {} | ", adapter.name, cells.join(" | "));
        assert!(page.contains(&row), "{row}");
    }
}

/// Each page of docs/providers names the variables of its adapter, and no others.
#[test]
fn the_page_of_a_platform_names_its_variables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers");
    let variable = |row: &str| {
        let name = row.trim_start().strip_prefix("| `PGDIAL_TRUNK_<NAME>_")?;
        Some(name.split_once('`')?.0.to_owned())
    };
    for adapter in ADAPTERS.iter().skip(1) {
        let page = folder.join(adapter.name).with_extension("md");
        let page = fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        let named: BTreeSet<String> = page.lines().filter_map(variable).collect();
        let own = adapter.settings.iter().map(|setting| setting.name);
        let own = own
            .chain(["PROVIDER", "WEBHOOK_SECRETS"])
            .map(str::to_owned);
        assert_eq!(named, own.collect(), "{}", adapter.name);
    }
}
