//! Vapi's reports: webhooks, and the call object of a look-up.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::ended;
use crate::{
    domain::{Facts, Outcome, Reference, Report, ReportKind},
    provider::{
        platform::{REFERENCE, number, only, seconds, take, text},
        protocol::{self, instant},
        words,
    },
};

/// Fields kept in the result beside the facts. Neither the assistant nor the messages: prompts are secrets.
const KEPT: [&str; 4] = [
    "analysis",
    "assistantId",
    "costBreakdown",
    "phoneCallProviderId",
];

/// Reads a webhook: `{"message": {"type": "end-of-call-report", "call": {...}, ...}}`.
pub(super) fn of_webhook(body: &[u8], address: &str) -> Report {
    let mut body = protocol::parse(body).unwrap_or_default();
    let mut message = take(&mut body, "message");
    let call = take(&mut message, "call");
    let foreign = is_foreign(&call);
    let said = Said { message, call };
    match said.report(address) {
        Some(report) => Report { foreign, ..report },
        None => Report::new(ReportKind::Unparsable),
    }
}

/// Reads a call object; none if it is not one.
pub(super) fn of_call(call: Value, address: &str) -> Option<Report> {
    let message = Value::Null;
    Said { message, call }.report(address)
}

/// As `of_call`, for a list of all calls: only outbound ones, with the number as `to`.
pub(super) fn of_list(call: Value, address: &str) -> Option<Report> {
    text(&call, "/type").filter(|kind| kind == "outboundPhoneCall")?;
    let to = text(&call, "/customer/number");
    let mut report = of_call(call, address)?;
    if let (Value::Object(result), Some(to)) = (&mut report.result, to) {
        result.insert("to".to_owned(), to.into());
    }
    Some(report)
}

/// Our reference, wherever Vapi carries it. A name that is not a reference comes from other software.
pub(super) fn reference(call: &Value) -> Option<String> {
    let ours = |pointer: &str| text(call, pointer).filter(|name| name.parse::<Reference>().is_ok());
    ["assistantOverrides", "squadOverrides"]
        .iter()
        .find_map(|place| text(call.get(place)?, &format!("/metadata/{REFERENCE}")))
        .or_else(|| ours("/customer/externalId"))
        .or_else(|| ours("/name"))
}

/// Whether a call object shows that pgdial did not place the call: it is no outbound call, or its customer has
/// no reference. Of an object without these parts nothing is certain.
fn is_foreign(call: &Value) -> bool {
    let is_ours = reference(call).is_some_and(|name| name.parse::<Reference>().is_ok());
    let is_other = text(call, "/type").is_some_and(|kind| kind != "outboundPhoneCall");
    !is_ours && (is_other || call.get("customer").is_some_and(Value::is_object))
}

/// A message and its call. Without a message the call object is the report.
struct Said {
    message: Value,
    call: Value,
}

impl Said {
    fn report(self, address: &str) -> Option<Report> {
        let id = protocol::name(self.call.get("id").cloned())?;
        let event = text(&self.message, "/type");
        let status = match event.as_deref() {
            None => text(&self.call, "/status"),
            Some("status-update") => text(&self.message, "/status"),
            Some("end-of-call-report") => Some("ended".to_owned()),
            Some(_) => None,
        };
        let reason = self.text("/endedReason");
        let started = self.instant("startedAt");
        let report = match (status.as_deref(), &reason) {
            (Some("scheduled" | "queued" | "ringing"), _) => Report::new(ReportKind::Progress),
            (Some("in-progress"), _) => Report {
                answered_at: started.or_else(|| self.message.get("timestamp").and_then(instant)),
                ..Report::new(ReportKind::Answered)
            },
            (Some("ended"), Some(reason)) => ended::report(reason, started.is_some()),
            // This report is final; a status may be followed by one.
            (Some("ended"), None) if event.as_deref() == Some("end-of-call-report") => {
                ended::report("", started.is_some())
            }
            _ => Report::new(ReportKind::Unknown),
        };
        let is_end = report.kind == ReportKind::Ended;
        let event_id = match event.as_deref() {
            Some("status-update") => Some(format!(
                "{id}:status-update:{}",
                status.as_deref().unwrap_or_default()
            )),
            Some("end-of-call-report") => Some(format!("{id}:end-of-call-report")),
            _ => None,
        };
        Some(Report {
            answered_at: report
                .answered_at
                .or_else(|| started.filter(|_| is_end && report.answered)),
            event_id,
            reference: reference(&self.call),
            result: self.result(&report, &id, address),
            status: reason.filter(|_| is_end).or(status).or(event),
            provider_call_id: Some(id),
            ..report
        })
    }

    fn result(self, report: &Report, id: &str, address: &str) -> Value {
        let facts = self.facts(report, id, address);
        let mut rest = only(self.call, &KEPT);
        rest.extend(only(self.message, &KEPT));
        protocol::result(&facts, rest)
    }

    fn facts(&self, report: &Report, id: &str, address: &str) -> Facts {
        let lasted = || {
            let length = seconds(self.instant("endedAt")? - self.instant("startedAt")?);
            Some(length).filter(|seconds| *seconds >= 0.0)
        };
        let cost = number(&self.message, "/cost").or_else(|| number(&self.call, "/cost"));
        let is_recorded = ["/artifact/recordingUrl", "/recordingUrl"]
            .iter()
            .any(|place| self.text(place).is_some());
        Facts {
            duration_sec: lasted().filter(|_| report.answered),
            cost,
            cost_currency: cost.map(|_| "USD"),
            answered_by: (report.outcome == Some(Outcome::Voicemail)).then(|| "machine".to_owned()),
            ended_reason: self.text("/endedReason"),
            // The call's own recording URL cannot be fetched; this one leads to the file, with the key.
            recording_url: is_recorded
                .then(|| format!("{address}/call/{}/mono-recording", words::percent(id))),
            transcript: self
                .text("/artifact/transcript")
                .or_else(|| self.text("/transcript")),
            summary: self.text("/analysis/summary"),
        }
    }

    fn text(&self, pointer: &str) -> Option<String> {
        text(&self.message, pointer).or_else(|| text(&self.call, pointer))
    }

    fn instant(&self, name: &str) -> Option<DateTime<Utc>> {
        let found = |value: &Value| value.get(name).and_then(instant);
        found(&self.message).or_else(|| found(&self.call))
    }
}
