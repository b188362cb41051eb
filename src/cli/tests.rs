use clap::{CommandFactory, Parser};

use super::*;

fn parsed(line: &str) -> Cli {
    let words = std::iter::once("pgdial").chain(line.split_whitespace());
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn refused(line: &str) -> String {
    let words = std::iter::once("pgdial").chain(line.split_whitespace());
    Cli::try_parse_from(words).unwrap_err().to_string()
}

#[test]
fn the_command_tree_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_flag_says_what_it_does() {
    fn look(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path}");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path} {}", arg.get_id());
        }
        command.get_subcommands().for_each(|sub| look(sub, &path));
    }
    let mut command = Cli::command();
    command.build();
    look(&command, "");
}

#[test]
fn global_flags_may_come_last() {
    let cli = parsed("calls list --state in_call --json --by ada");
    assert!(cli.everywhere.json);
    assert_eq!(cli.everywhere.by.as_deref(), Some("ada"));
}

#[test]
fn migrate_is_a_switch_and_a_value() {
    for (line, given) in [
        ("work", None),
        ("work --migrate", Some("true")),
        ("work --migrate=no", Some("no")),
    ] {
        let Command::Work(settings) = parsed(line).command else {
            panic!("{line}");
        };
        assert_eq!(settings.migrate.as_deref(), given, "{line}");
    }
}

#[test]
fn only_what_is_given_is_set() {
    use groups::Changes;
    let line = "campaigns set spring --cap none --ring-timeout 45s --redial-unknown=false --busy-base 1500ms";
    let Command::Campaigns(CampaignsCommand::Group(command)) = parsed(line).command else {
        panic!("{line}");
    };
    let groups::GroupCommand::Set { changes, .. } = *command else {
        panic!("{line}");
    };
    assert_eq!(
        serde_json::Value::from(changes.given()),
        serde_json::json!({"cap": null, "ringTimeout": "45 seconds", "redialUnknown": false, "busyBase": "1500 milliseconds"})
    );
    let line = "trunks set default --slots 0 --calls-per-second 2.5";
    let Command::Trunks(TrunksCommand::Group(groups::GroupCommand::Set { changes, .. })) =
        parsed(line).command
    else {
        panic!("{line}");
    };
    assert_eq!(
        serde_json::Value::from(changes.given()),
        serde_json::json!({"slots": 0, "callsPerSecond": 2.5})
    );
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_reason() {
    for (line, words) in [
        ("enqueue +14155550100", "--script"),
        ("enqueue +14155550100 --script s --priority 10", "0..=9"),
        (
            "enqueue +14155550100 --script s --metadata [1]",
            "not a JSON object",
        ),
        ("calls why 12", "invalid value '12' for '<CALL>'"),
        ("calls list --state ringing", "in_call"),
        ("calls list --to 555 --region UK", "not a country"),
        (
            "calls amend 0197f5e0-0000-7000-8000-000000000001",
            "required",
        ),
        ("campaigns set a --ring-timeout 90", "without a unit"),
        ("campaigns set a --weight some", "--weight"),
        ("campaigns pause a", "--why"),
        ("trunks set a --slots many", "--slots"),
        ("release 0197f5e0-0000-7000-8000-000000000001", "--why"),
        ("sign - --id a.b", "without a dot"),
    ] {
        let refusal = refused(line);
        assert!(refusal.contains(words), "{line}: {refusal}");
    }
}

#[test]
fn the_help_is_the_one_that_was_agreed() {
    let mut command = Cli::command().term_width(100);
    insta::assert_snapshot!("help", command.render_long_help());
}
