//! `doctor`: finds faults before they cost calls.
//!
//! Checks the settings that `serve` would start with, the database and its server, whether LISTEN delivers, and
//! whether providers answer. Changes nothing and rings nobody: providers are asked about a reference that does not
//! exist.

use secrecy::ExposeSecret;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Exit, Failure, Out, check, groups};
use crate::{
    config::{self, Api, Common, Flags, Problem, Settings, Variables},
    db::{
        self,
        doctor::{Check, Verdict},
    },
    flow::{
        Queue,
        view::{Campaign, Trunk as Declared},
        wake::ListenError,
    },
    provider::tag,
    trunks::Trunks,
};

/// Verdicts and exit codes, for `--help`.
pub const CODES: &str = "\
Each line is ok, warn (it works, and deserves a look) or fail (it does not work, or will cost
calls), with what to do. It ends with 1 if anything fails. Run it with the settings of the
process in question: the same environment, or the same .env file.";

/// One connection listens, one notifies, one reads.
const CONNECTIONS: u32 = 3;

/// Runs every check and prints the findings, worst first.
pub async fn run(
    flags: &Flags,
    common: &Common,
    variables: &Variables,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut found = of_settings(flags, common, variables);
    let mut declared = Vec::new();
    match config::database_url(common, variables) {
        // `of_settings` has reported this already.
        Err(_problems) => {}
        Ok(url) => match db::connect(url.expose_secret(), "doctor", CONNECTIONS).await {
            Ok(pool) => {
                found.extend(db::doctor::examine(&pool).await);
                let calls = Queue::new(pool);
                found.extend(listen(&calls).await);
                found.push(writes(&calls).await);
                declared = calls.trunks(None).await.unwrap_or_default();
                found.extend(declared.iter().flat_map(of_trunk));
                let campaigns = calls.campaigns(None).await.unwrap_or_default();
                found.extend(campaigns.iter().flat_map(of_campaign));
            }
            Err(error) => found.push(unreachable(error)),
        },
    }
    if let Ok(trunks) = config::trunks_told(flags, variables) {
        let address = |trunk: &str| config::provider_address(flags, variables, trunk);
        let public_url = config::public_url(flags, variables).unwrap_or_default();
        found.extend(ask_all(&trunks, &declared, address, &public_url).await);
    }
    // Worst first; the sort is stable, so related checks stay together.
    found.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    tell(&found, out)
}

fn tell(found: &[Check], out: &mut Out) -> Result<Exit, Failure> {
    let worst = found.iter().map(|check| check.verdict).max();
    let worst = worst.unwrap_or(Verdict::Ok);
    if out.style.json {
        out.json(
            &json!({ "verdict": worst, "release": env!("CARGO_PKG_VERSION"), "checks": found }),
        )?;
    } else {
        let row = |check: &Check| {
            vec![
                check.verdict.as_str().to_owned(),
                check.check.to_owned(),
                check.message.clone(),
                check.repair.clone().unwrap_or_default(),
            ]
        };
        let header = ["", "check", "what", "what to do"];
        out.table(&header, found.iter().map(row).collect())?;
    }
    Ok(match worst {
        Verdict::Fail => Exit::Failed,
        Verdict::Ok | Verdict::Warn => Exit::Ok,
    })
}

/// The checks `serve` makes of its settings before it starts.
fn of_settings(flags: &Flags, common: &Common, variables: &Variables) -> Vec<Check> {
    match Settings::read(common, flags, variables, Api::Open) {
        Ok((_, warnings)) if warnings.is_empty() => {
            vec![Check::ok("settings", "every setting is right")]
        }
        Ok((_, warnings)) => {
            let warned = |words: String| {
                Check::warn("settings", words, "change it, or leave it if it is meant")
            };
            warnings.into_iter().map(warned).collect()
        }
        Err(problems) => {
            let refused = |problem: &Problem| {
                let message = format!("{} {}", problem.name, problem.what);
                Check::fail(
                    "settings",
                    message,
                    format!("set it, as in {}", problem.example),
                )
            };
            problems.iter().map(refused).collect()
        }
    }
}

fn unreachable(error: db::Error) -> Check {
    let (what, hint) = match Failure::from(error) {
        Failure::Told { what, hint, .. } => (what, hint),
        other => (other.to_string(), None),
    };
    let default = "is DATABASE_URL right, and Postgres running there?";
    Check::fail(
        "connection",
        what,
        hint.unwrap_or_else(|| default.to_owned()),
    )
}

/// Whether a commit completes.
async fn writes(calls: &Queue) -> Check {
    let repair = "is a synchronous standby missing (synchronous_standby_names), the disk full, the server stopped? Its log says more";
    match calls.write_nothing().await {
        Ok(()) => Check::ok("write", "a commit comes to its end"),
        Err(error) => {
            let why = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            Check::fail(
                "write",
                format!("a commit does not come to its end: {why}"),
                repair,
            )
        }
    }
}

/// What is relied on at a trunk's provider, and where a person has set what its adapter knows to be otherwise.
fn of_trunk(row: &Declared) -> Vec<Check> {
    let name = &row.name;
    let conflict = |words: &String| {
        let repair = format!(
            "`pgdial trunks set {name}` with --look-up declared or --idempotent declared, unless you know better"
        );
        Check::warn("trunk", format!("trunk {name}: {words}"), repair)
    };
    let mut found: Vec<_> = row.conflicts.iter().map(conflict).collect();
    let account = row.adapter.as_ref().and_then(|it| it.account.as_ref());
    let at = account.map_or_else(String::new, |account| format!(" at {account}"));
    let terms = groups::terms(row).map(|(term, value)| format!("{term}: {value}"));
    let told = format!("trunk {name}{at} relies on: {}", terms.join("; "));
    found.push(Check::ok("trunk", told));
    found
}

/// Settings that have no effect on the campaign's trunk.
fn of_campaign(row: &Campaign) -> Vec<Check> {
    let name = &row.name;
    let conflict = |words: &String| {
        let repair =
            format!("or `pgdial campaigns set {name} --answering-machine ignore`, if it does so");
        Check::warn("campaign", format!("campaign {name}: {words}"), repair)
    };
    row.conflicts.iter().map(conflict).collect()
}

/// Whether a notification from one connection reaches another.
async fn listen(calls: &Queue) -> Vec<Check> {
    vec![match calls.check_listen().await {
        Ok(()) => Check::ok("listen", "a notification of one connection reaches another"),
        Err(error @ ListenError::Undelivered) => Check::fail(
            "listen",
            error.to_string(),
            "let DATABASE_URL lead to Postgres itself, or to the pooler's port for session mode",
        ),
        Err(error) => Check::warn(
            "listen",
            format!("could not be looked at: {error}"),
            "mend what else fails here first",
        ),
    }]
}

/// Asks all providers at once, so that one that hangs does not delay the rest.
async fn ask_all(
    trunks: &Trunks,
    declared: &[Declared],
    address: impl Fn(&str) -> Option<String>,
    public_url: &str,
) -> Vec<Check> {
    let mut asks = JoinSet::new();
    for name in trunks.names() {
        let row = declared.iter().find(|row| row.name == *name);
        let is_askable = row.is_some_and(|row| row.in_effect.look_up != "none");
        if row.is_none() && !declared.is_empty() {
            let told =
                format!("the settings describe a trunk {name} that the database does not have");
            let repair = format!("`pgdial trunks create {name}`, or remove its variables");
            asks.spawn(async move { vec![Check::fail("provider", told, repair)] });
        }
        if let Some(trunk) = trunks.get(&name).cloned() {
            let address = address(&name).unwrap_or_default();
            let url = tag::account_url(public_url, &name);
            asks.spawn(async move {
                match check::of_doctor(&trunk, &url, check::ANSWER).await {
                    Some(checks) => checks,
                    None => vec![check::ask(&trunk, is_askable, &address).await],
                }
            });
        }
    }
    let mut found = asks.join_all().await.concat();
    found.sort_by(|one, other| one.message.cmp(&other.message));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{out::Style, testing::Captured};

    #[test]
    fn only_what_fails_ends_with_1() {
        let ok = || Check::ok("listen", "heard");
        let warn = || Check::warn("clock", "late", "wait");
        let fail = || Check::fail("schema", "none", "run `pgdial migrate`");
        for (found, exit) in [
            (vec![ok()], Exit::Ok),
            (vec![warn(), ok()], Exit::Ok),
            (vec![ok(), fail(), warn()], Exit::Failed),
        ] {
            let mut captured = Captured::new(Style::default());
            assert_eq!(tell(&found, &mut captured.out).unwrap(), exit, "{found:?}");
            for check in found {
                assert!(captured.data().contains(&check.message), "{check:?}");
                let repair = check.repair.unwrap_or_default();
                assert!(captured.data().contains(&repair), "{repair}");
            }
        }
    }
}
