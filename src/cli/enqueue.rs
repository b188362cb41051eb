//! `enqueue`: one call. The id goes to stdout, everything else to stderr.

use serde_json::{Map, Value, json};

use super::{Exit, Failure, Out, values};
use crate::{
    domain::CallId,
    flow::{Queue, enqueue::Enqueued},
};

/// Enqueue one call.
#[derive(Debug, Clone, clap::Args)]
pub struct EnqueueArgs {
    /// The number to ring, as in +14155550100. Several are those of one person, who is rung at one after the other.
    #[arg(required = true)]
    pub to: Vec<String>,
    /// Where the callee is: a country, as in US, whose national format TO is in if it lacks + and country code, or a
    /// part of one, as in US-FL, whose calling hours apply. Default: the campaign's region.
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Where the callee is: an IANA time zone, as in `America/New_York`. May be repeated: then all of them count.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Vec<String>,
    /// The provider's id of the script, agent or assistant.
    #[arg(long, visible_alias = "script-id", value_name = "ID")]
    pub script: String,
    /// JSON object passed to the provider unchanged.
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    pub metadata: Option<Map<String, Value>>,
    /// The campaign. Default: `default`.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Caller id shown to the callee.
    #[arg(long, value_name = "NUMBER")]
    pub from: Option<String>,
    /// Priority, 0 to 9; higher goes first. Default: 0.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: Option<u8>,
    /// Earliest dial, as in 2026-01-31T09:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    pub run_at: Option<String>,
    /// Latest dial; afterwards the call expires. Default: never.
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,
    /// Attempts, 1 to 20. Default: the campaign's.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub max_attempts: Option<u8>,
    /// When the callee agreed to be called, as in 2026-01-31T09:00:00Z. A campaign may require it.
    #[arg(long, value_name = "TIME")]
    pub consent_at: Option<String>,
    /// Where the consent is recorded, such as the id of a form.
    #[arg(long, value_name = "TEXT")]
    pub consent_ref: Option<String>,
    /// When the consent ends. Default: never.
    #[arg(long, value_name = "TIME")]
    pub consent_expires_at: Option<String>,
    /// A repeated request with the same key and the same --by is the same call.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

impl EnqueueArgs {
    /// The request as `POST /calls` takes it. Options not given are null, which SQL treats as absent.
    fn request(&self) -> Value {
        let to = match self.to.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        json!({
            "to": to, "region": self.region, "timezone": (!self.timezone.is_empty()).then_some(&self.timezone), "scriptId": self.script, "metadata": self.metadata, "campaign": self.campaign,
            "from": self.from, "priority": self.priority, "runAt": self.run_at, "expiresAt": self.expires_at,
            "maxAttempts": self.max_attempts, "idempotencyKey": self.idempotency_key,
            "consentAt": self.consent_at, "consentRef": self.consent_ref, "consentExpiresAt": self.consent_expires_at,
        })
    }
}

/// Enqueues the call and prints its id.
pub async fn run(
    args: &EnqueueArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let answers = calls.enqueue(by, &[args.request()]).await?;
    let answer = answers
        .first()
        .ok_or_else(|| Failure::failed("the database gave no answer"))?;
    let Verdict { word, id, detail } = Verdict::of(answer);
    if out.style.json {
        out.json(&json!({ "id": id, "verdict": word, "detail": detail }))?;
    }
    let Some(id) = id else {
        return Err(refused(word, detail.as_deref().unwrap_or(word)));
    };
    if !out.style.json {
        out.line(id.to_string())?;
        if word == "duplicate" {
            out.note("the same call as before: its idempotency key is known");
        }
    }
    Ok(Exit::Ok)
}

fn refused(word: &str, detail: &str) -> Failure {
    let failure = Failure::failed(format!("not enqueued: {detail}"));
    match word {
        "unknown_campaign" => failure.hint("`pgdial campaigns list` shows those there are"),
        "campaign_over" => {
            failure.hint("`pgdial campaigns set NAME --ends-at TIME` sets a later end")
        }
        "suppressed" => failure.hint("`pgdial dnc list` shows who put it there"),
        "consent_missing" => failure.hint("--consent-at says when the callee agreed"),
        "key_locked" => failure.hint("try again"),
        _ => failure,
    }
}

/// The verdict on one request, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Stable, for programs.
    pub word: &'static str,
    /// `None` if the request was refused.
    pub id: Option<CallId>,
    /// Why it was refused.
    pub detail: Option<String>,
}

impl Verdict {
    /// Puts the queue's answer into words.
    pub fn of(answer: &Enqueued) -> Self {
        let (id, detail) = match answer {
            Enqueued::Created(id) | Enqueued::Duplicate(id) => (Some(*id), None),
            Enqueued::KeyReused(detail)
            | Enqueued::KeyLocked(detail)
            | Enqueued::Suppressed(detail)
            | Enqueued::ConsentMissing(detail)
            | Enqueued::UnknownCampaign(detail)
            | Enqueued::CampaignOver(detail)
            | Enqueued::Invalid(detail) => (None, Some(detail)),
        };
        Self {
            word: answer.as_str(),
            id,
            // The database separates several faults by line breaks.
            detail: detail.map(|words| words.replace('\n', "; ")),
        }
    }
}
