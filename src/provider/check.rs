//! What an account says about itself when it is asked without ringing anybody.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    answer::{Answer, spoken},
    client::Client,
};
use crate::domain::Phone;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// The platform cannot be asked.
    Unknown,
    /// It works, and deserves a look; or the platform did not say.
    Warn,
    /// Calls will be refused, or their reports lost.
    Wrong,
}

impl Severity {
    /// The word in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Wrong => "wrong",
        }
    }
}

/// One question to an account, and what came of it. Settings are named without the prefix of the trunk, as
/// `PROVIDER_KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was asked about, in a word.
    pub about: &'static str,
    /// How good it is.
    #[serde(rename = "verdict")]
    pub severity: Severity,
    /// What was found, in a sentence, without the key.
    pub message: String,
    /// What to do, if there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(about: &'static str, message: impl Into<String>) -> Self {
        Self {
            about,
            severity: Severity::Ok,
            message: message.into(),
            repair: None,
        }
    }

    /// What the platform cannot be asked.
    pub fn unknown(about: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Unknown,
            ..Self::ok(about, message)
        }
    }

    /// Something to look at, with what to do.
    pub fn warn(
        about: &'static str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warn,
            repair: Some(repair.into()),
            ..Self::ok(about, message)
        }
    }

    /// Something that will cost calls, with what to do.
    pub fn wrong(
        about: &'static str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Wrong,
            ..Self::warn(about, message, repair)
        }
    }
}

/// Limit of one question.
const PATIENCE: Duration = Duration::from_secs(10);
const REACH: &str = "check that this host can reach it, and that PROVIDER_URL is right";
const LATER: &str = "ask again later, or look at the platform's status page";

/// Questions to an account, and the findings so far.
#[derive(Debug)]
pub(super) struct Inquiry<'c> {
    client: &'c Client,
    pub(super) found: Vec<Finding>,
    is_silent: bool,
}

impl<'c> Inquiry<'c> {
    pub(super) const fn of(client: &'c Client) -> Self {
        Self {
            client,
            found: Vec::new(),
            is_silent: false,
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// Says this in place of the last finding, that something is there.
    pub(super) fn but(&mut self, finding: Option<Finding>) {
        if let (Some(last), Some(finding)) = (self.found.last_mut(), finding) {
            *last = finding;
        }
    }

    /// Asks for something that every valid key may read. None: there is no use in asking more.
    pub(super) async fn key(
        &mut self,
        path: &str,
        is_answer: impl FnOnce(&Value) -> bool,
    ) -> Option<Value> {
        let answer = self.get("key", path).await?;
        let body = answer.json();
        match answer.status.as_u16() {
            200..=299 if is_answer(&body) => {
                self.add(Finding::ok("key", "the key is valid"));
                return Some(body);
            }
            403 => {
                let told = format!("the key may not read {path}: {}", self.why(&answer));
                let repair = "give it the right to, or leave it if calls are accepted";
                self.add(Finding::warn("key", told, repair));
                return Some(Value::Null);
            }
            401 => {
                let told = format!("the key is refused: {}", self.why(&answer));
                let repair = "set PROVIDER_KEY to a key of the account";
                self.add(Finding::wrong("key", told, repair));
            }
            429 | 500.. => self.did_not_say("key", &answer),
            _ => {
                let told = format!("the platform would not answer so: {}", self.why(&answer));
                let repair = "is PROVIDER_URL the address of its API, and the account right?";
                self.add(Finding::wrong("key", told, repair));
            }
        }
        None
    }

    /// Asks for one thing, which is named in a sentence (`agent agent_1`). Returns it if it is there.
    pub(super) async fn there_is(
        &mut self,
        about: &'static str,
        name: &str,
        path: &str,
        is_it: impl FnOnce(&Value) -> bool,
        repair: &str,
    ) -> Option<Value> {
        let answer = self.read(about, path).await?;
        let body = answer.json();
        if answer.status.is_success() && is_it(&body) {
            self.add(Finding::ok(about, format!("{name} is there")));
            return Some(body);
        }
        let told = format!("{name} is not there: {}", self.why(&answer));
        self.add(Finding::wrong(about, told, repair));
        None
    }

    /// Asks for something that the account should be able to tell.
    pub(super) async fn told(&mut self, about: &'static str, path: &str) -> Option<Value> {
        let answer = self.read(about, path).await?;
        if answer.status.is_success() {
            return Some(answer.json());
        }
        self.did_not_say(about, &answer);
        None
    }

    /// Response that says something about what was asked for: it is there, or it is not.
    async fn read(&mut self, about: &'static str, path: &str) -> Option<Answer> {
        let answer = self.get(about, path).await?;
        match answer.status.as_u16() {
            401 | 403 => {
                let told = format!("the key may not read it: {}", self.why(&answer));
                self.add(Finding::unknown(about, told));
                None
            }
            429 | 500.. => {
                self.did_not_say(about, &answer);
                None
            }
            _ => Some(answer),
        }
    }

    /// A platform that did not answer once is not asked again.
    async fn get(&mut self, about: &'static str, path: &str) -> Option<Answer> {
        if self.is_silent {
            return None;
        }
        let asked = timeout(PATIENCE, self.client.ask(self.client.get(path))).await;
        let why = match asked {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "the provider has not answered within 10 s".to_owned(),
        };
        self.is_silent = true;
        self.add(Finding::warn(about, why, REACH));
        None
    }

    fn did_not_say(&mut self, about: &'static str, answer: &Answer) {
        let told = format!("the platform does not say: {}", self.why(answer));
        self.add(Finding::warn(about, told, LATER));
    }

    /// The platform's words, without numbers and the key.
    fn why(&self, answer: &Answer) -> String {
        let said = spoken::words(&answer.json()).or_else(|| answer.plain_text());
        match (&said, answer.status.is_success()) {
            (None, true) => format!("HTTP {}", answer.status.as_u16()),
            _ => answer.why(None, said.as_deref(), self.client.key()),
        }
    }
}

/// Whether the text at a JSON pointer is this number, however it is spelled.
pub(super) fn is_number(value: &Value, pointer: &str, number: &Phone) -> bool {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.and_then(|text| text.parse::<Phone>().ok()).as_ref() == Some(number)
}

/// Whether a list at a JSON pointer has an item with this number, whatever else it lists.
pub(super) fn lists_number(value: &Value, list: &str, number: &Phone) -> bool {
    let items = value.pointer(list).and_then(Value::as_array);
    let mut items = items.into_iter().flatten();
    items.any(|item| is_number(item, "/phone_number", number))
}

/// Calls that name no number of their own cannot be placed.
pub(super) fn no_from() -> Finding {
    let told = "no number to call from is set: each call must name one";
    Finding::warn("number", told, "set FROM, unless your calls do")
}

/// Script ids without an alias are known only once a call has one.
pub(super) fn no_scripts() -> Finding {
    let told = "no short names are set: the script id of a call is taken as the platform's own, and was not checked";
    Finding::unknown("script", told)
}

/// Calls bring their own webhook URL.
pub(super) fn own_webhooks() -> Finding {
    Finding::ok(
        "webhook",
        "each call brings the address for its reports; there is nothing to set",
    )
}
