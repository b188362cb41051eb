//! `trunks check`: asks a trunk's account what can be asked without ringing anybody.
//!
//! Needs the settings alone, and no database: an account is checked before its first call.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Exit, Failure, Out};
use crate::{
    config::{self, Flags, Variables},
    db::doctor::{Check, Verdict},
    domain::{CallId, Reference},
    provider::{self, Finding, LookUps, LookedUp, Severity, tag},
    trunks::Trunk,
};

/// Severities and exit codes, for `--help`.
pub const CODES: &str = "\
Nobody is rung, and nothing is changed. Each line is ok, unknown (the platform cannot be asked),
warn (it works, and deserves a look) or wrong (it will cost calls), with what to do. It ends with
1 if anything is wrong, or nothing could be asked. Run it with the settings of the process in
question: the same environment, or the same .env file.";

/// Limit of all questions to one account.
const PATIENCE: Duration = Duration::from_mins(1);

/// Limit on the answer to one question.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// Ask a trunk's account.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Name of the trunk.
    pub name: String,
    /// Public base URL of pgdial. Default: `PGDIAL_PUBLIC_URL`.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    trunk: &'a str,
    account: Option<String>,
    webhook_url: &'a str,
    verdict: Severity,
    findings: &'a [Finding],
}

/// Asks, and prints what the platform said, worst first.
pub async fn run(args: &CheckArgs, variables: &Variables, out: &mut Out) -> Result<Exit, Failure> {
    let flags = Flags {
        public_url: args.public_url.clone(),
        ..Flags::default()
    };
    let trunks = config::trunks(variables)?;
    // Variables have the name in upper case.
    let name = args.name.to_ascii_lowercase();
    let trunk = trunks.get(&name).ok_or_else(|| {
        let named = config::trunk_variable(&name, "PROVIDER");
        Failure::failed(format!("the settings describe no trunk {name:?}"))
            .hint(format!("set {named}, and what that platform needs"))
    })?;
    let url = tag::account_url(&config::public_url(&flags, variables)?, &trunk.name);
    let mut found = match timeout(PATIENCE, trunk.provider.check(&url)).await {
        Ok(found) if !found.is_empty() => found,
        Ok(_) => {
            let address = config::provider_address(&flags, variables, &trunk.name);
            let asked = ask(trunk, false, &address.unwrap_or_default()).await;
            let told = format!(
                "each call brings the address for its reports; an account with one for all calls reports to {url}"
            );
            vec![of_check(asked), Finding::unknown("webhook", told)]
        }
        Err(_elapsed) => vec![too_slow()],
    };
    found.push(Finding::unknown(
        "event",
        "a test event cannot be asked for: enqueue a call to a telephone of yours",
    ));
    for finding in &mut found {
        in_full(finding, &trunk.name);
    }
    // The sort is stable, so related findings stay together.
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    tell(trunk, &url, &found, out)
}

fn tell(trunk: &Trunk, url: &str, found: &[Finding], out: &mut Out) -> Result<Exit, Failure> {
    let worst = found.iter().map(|finding| finding.severity).max();
    let verdict = worst.unwrap_or(Severity::Ok);
    let account = trunk.provider.account();
    if out.style.json {
        out.json(&Checked {
            trunk: &trunk.name,
            account,
            webhook_url: url,
            verdict,
            findings: found,
        })?;
    } else {
        out.pairs(vec![
            ("trunk", trunk.name.clone()),
            ("account", account.unwrap_or_default()),
        ])?;
        let row = |finding: &Finding| {
            vec![
                finding.severity.as_str().to_owned(),
                finding.about.to_owned(),
                finding.message.clone(),
                finding.repair.clone().unwrap_or_default(),
            ]
        };
        let header = ["", "about", "what", "what to do"];
        out.table(&header, found.iter().map(row).collect())?;
    }
    let is_any_right = found.iter().any(|finding| finding.severity == Severity::Ok);
    Ok(if verdict == Severity::Wrong || !is_any_right {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

/// The findings as checks of `doctor`: each that is not right, and the rest in one. None if the adapter asks
/// nothing of its own.
pub(super) async fn of_doctor(trunk: &Trunk, url: &str, patience: Duration) -> Option<Vec<Check>> {
    let found = timeout(patience, trunk.provider.check(url)).await;
    let found = found.unwrap_or_else(|_elapsed| vec![too_slow()]);
    let name = &trunk.name;
    let (mut checks, mut right) = (Vec::new(), Vec::new());
    for mut finding in found {
        in_full(&mut finding, name);
        let message = format!("trunk {name}: {}", finding.message);
        let repair = finding.repair.unwrap_or_default();
        match finding.severity {
            Severity::Wrong => checks.push(Check::fail("provider", message, repair)),
            Severity::Warn => checks.push(Check::warn("provider", message, repair)),
            Severity::Ok if !right.contains(&finding.about) => right.push(finding.about),
            Severity::Ok | Severity::Unknown => {}
        }
    }
    if !right.is_empty() {
        let told = format!(
            "the account of trunk {name} was asked; checked and correct: {}",
            right.join(", ")
        );
        checks.push(Check::ok("provider", told));
    }
    (!checks.is_empty()).then_some(checks)
}

fn too_slow() -> Finding {
    let told = "the account did not answer every question in time";
    Finding::warn("account", told, "ask again later")
}

fn of_check(check: Check) -> Finding {
    let severity = match check.verdict {
        Verdict::Ok => Severity::Ok,
        Verdict::Warn => Severity::Warn,
        Verdict::Fail => Severity::Wrong,
    };
    Finding {
        severity,
        repair: check.repair,
        ..Finding::ok("provider", check.message)
    }
}

/// Names settings as the variables of this trunk.
fn in_full(finding: &mut Finding, trunk: &str) {
    finding.message = named(&finding.message, trunk);
    finding.repair = finding.repair.as_deref().map(|text| named(text, trunk));
}

fn named(text: &str, trunk: &str) -> String {
    let is_other = |c: char| !(c.is_ascii_uppercase() || c == '_');
    let words = text.split_inclusive(is_other).map(|word| {
        let part = word.trim_end_matches(is_other);
        if config::is_trunk_setting(part) {
            word.replace(part, &config::trunk_variable(trunk, part))
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

/// Asks about a reference that does not exist: rings nobody, and a correct provider says it does not know it.
pub(super) async fn ask(trunk: &Trunk, is_askable: bool, at: &str) -> Check {
    let nobody = Reference {
        call: CallId(Uuid::new_v4()),
        claim_no: 1,
    };
    let name = &trunk.name;
    let address = "is its address right (PGDIAL_PROVIDER_URL, PGDIAL_TRUNK_<NAME>_PROVIDER_URL), and may this host reach it?";
    let fail = |what: String, repair: &str| {
        Check::fail(
            "provider",
            format!("the provider of {name}, at {at}, {what}"),
            repair,
        )
    };
    let is_by_id = trunk.provider.capabilities().look_up == Some(LookUps::ById);
    let id = is_by_id.then(|| nobody.to_string());
    match timeout(ANSWER, trunk.provider.look_up(nobody, id.as_deref())).await {
        Ok(Ok(LookedUp::Found(_) | LookedUp::NotFound | LookedUp::Inconclusive)) => Check::ok(
            "provider",
            format!("the provider of {name} answers, and knows the protocol"),
        ),
        Ok(Ok(LookedUp::Unsupported)) if is_askable => fail(
            "answers, and cannot be asked for calls, though the trunk says that it can".to_owned(),
            "is its address right, up to /api/v1? Else: `pgdial trunks set NAME --look-up none`",
        ),
        Ok(Ok(LookedUp::Unsupported)) => Check::warn(
            "provider",
            format!("the provider of {name} answers, and has no list of calls"),
            "right if it has none; else its address is wrong: it ends before /api/v1",
        ),
        Ok(Err(provider::Error::Refused { status, why })) if matches!(status, 401 | 403) => fail(
            format!("refuses our key ({status}: {why})"),
            "set PGDIAL_PROVIDER_KEY (PGDIAL_TRUNK_<NAME>_PROVIDER_KEY) to the key of the account",
        ),
        Ok(Err(provider::Error::Refused { status, why })) => Check::warn(
            "provider",
            format!("the provider of {name} answers {status}: {why}"),
            "ask the provider, or look at its log",
        ),
        Ok(Err(error)) => fail(format!("cannot be asked: {error}"), address),
        Err(_elapsed) => fail("has not answered within 10 s".to_owned(), address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_as_the_variables_of_the_trunk() {
        let mut finding = Finding::wrong("number", "FROM is no number", "set FROM, or NUMBERS");
        in_full(&mut finding, "eu");
        assert_eq!(finding.message, "PGDIAL_TRUNK_EU_FROM is no number");
        let repair = "set PGDIAL_TRUNK_EU_FROM, or PGDIAL_TRUNK_EU_NUMBERS";
        assert_eq!(finding.repair.as_deref(), Some(repair));
        let mut finding = Finding::warn("key", "NOT_FROM at X", "set PROVIDER_KEY");
        in_full(&mut finding, "default");
        assert_eq!(finding.message, "NOT_FROM at X");
        assert_eq!(finding.repair.as_deref(), Some("set PGDIAL_PROVIDER_KEY"));
    }
}
