//! Large webhooks: the report of a long call's end, 1 MB of JSON in Vapi's shape, signed, over HTTP to `pgdial serve`.
//! What does one cost, and how much memory do many of them take?

use std::sync::Arc;

use pgdial::provider::signature::Secrets;
use serde_json::{Value, json};

use super::{
    Bed, Error, Measure, Options,
    bed::secret,
    dials::{Answer, Dial, Served, Witness},
    enqueue::Turns,
    process::{Folder, Process, free_address},
    refill::until_in_call,
    webhooks::{post_all, sign_all},
};

/// Reports at scale 1, and unmeasured ones before them.
const REPORTS: usize = 200;
const WARM_UP: usize = 20;
/// Reports under way at a time: few for their cost, many for the memory that they hold.
const CLIENTS: [(&str, usize); 2] = [("webhook-large", 4), ("webhook-large, 32 at a time", 32)];
/// Turns of the conversation, which make a report of a megabyte.
const TURNS: usize = 1_700;

pub(super) async fn large(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let (reports, warm_up) = (options.scaled(REPORTS), options.scaled(WARM_UP));
    let calls = warm_up + reports * CLIENTS.len();
    let dials = in_call(bed, calls).await?;

    let folder = Folder::new()?;
    let at_pgdial = free_address()?;
    let (address, words) = (at_pgdial.to_string(), secret());
    let mut pgdial = Process::start(
        bed,
        &folder,
        &["serve"],
        &[
            ("PGDIAL_LISTEN", &address),
            ("PGDIAL_PUBLIC_URL", &format!("http://{address}")),
            ("PGDIAL_PROVIDER", "vapi"),
            ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9"),
            ("PGDIAL_PROVIDER_KEY", &secret()),
            ("PGDIAL_NUMBERS", "+14155550100=lab"),
            ("PGDIAL_WEBHOOK_SECRETS", &words),
            ("PGDIAL_API_KEYS", &format!("lab:{}", secret())),
            ("PGDIAL_KEEP_FINISHED", "forever"),
        ],
    )?;
    pgdial.until_listening(at_pgdial).await?;
    let secrets: Secrets = words
        .parse()
        .map_err(|error| Error::Wrong(format!("the lab's secret: {error}")))?;
    // With the signature that Vapi makes with a credential of Standard Webhooks.
    let report = report("{id}", "{reference}").to_string();
    let webhooks = sign_all(bed, &secrets, &dials, |dial| {
        report
            .replace("{id}", &dial.provider_call_id())
            .replace("{reference}", &dial.reference.to_string())
    });
    let webhooks = webhooks.await?;
    let size = webhooks.first().map_or(0, |webhook| webhook.body.len());
    let webhooks = Arc::new(webhooks);
    post_all(at_pgdial, 1, &webhooks, Turns::new(0, warm_up)).await?;
    let (mut measures, mut from) = (Vec::new(), warm_up);
    for (name, clients) in CLIENTS {
        let turns = Turns::new(from, from + reports);
        from += reports;
        let meter = bed.meter_as("lab").with("pgdial", pgdial.pid);
        post_all(at_pgdial, clients, &webhooks, turns).await?;
        let mut used = meter.stop();
        used.peak_rss.remove("lab");
        let measure = Measure {
            unit: "reports/s",
            ..Measure::rate(name, reports, &used)
        };
        measures.push(measure.note(format!(
            "{clients} at a time of {size} bytes each; CPU is per report, and that of `lab` is the provider's"
        )));
    }
    pgdial.stop().await?;
    check(bed, calls, size).await?;
    Ok(measures)
}

/// Calls that were answered by a provider in this process and are still on.
async fn in_call(bed: &Bed, calls: usize) -> Result<Vec<Dial>, Error> {
    bed.set_slots(calls).await?;
    bed.seed_waiting(calls).await?;
    let (witness, mut dials) = Witness::new(Answer::Accept);
    let served = Served::start(bed, witness, calls).await?;
    let mut live = Vec::new();
    for _ in 0..calls {
        live.push(dials.next().await?);
    }
    until_in_call(bed, calls).await?;
    served.stop().await?;
    Ok(live)
}

/// The report of a conversation of two hours: everything that was said three times over, with its times, and the
/// assistant with its prompt.
fn report(id: &str, reference: &str) -> Value {
    let said = "I see, and on which day of the week would it suit you best to have the technician come by?";
    let turns = 0..TURNS;
    let seconds = |nth: usize| f64::from(u32::try_from(nth).unwrap_or(u32::MAX)) * 4.217;
    let by_bot = |nth: usize| nth.is_multiple_of(2);
    let message = |nth: usize| {
        let start = 1_767_323_054_000.0 + seconds(nth) * 1000.0;
        json!({
            "role": if by_bot(nth) { "bot" } else { "user" }, "message": said, "source": "",
            "time": start, "endTime": start + 3_911.0, "duration": 3_911.0, "secondsFromStart": seconds(nth),
            "metadata": {"wordLevelConfidence": [
                {"word": "see", "start": 0.08, "end": 0.32, "confidence": 0.998_734_2},
                {"word": "day", "start": 0.48, "end": 0.71, "confidence": 0.987_163_5},
            ]},
        })
    };
    let formatted = |nth: usize| json!({"role": if by_bot(nth) { "assistant" } else { "user" }, "content": said});
    let line = |nth: usize| format!("{}: {said}\n", if by_bot(nth) { "AI" } else { "User" });
    let call = json!({
        "id": id, "orgId": "be2fa99a-b5f1-4b5a-8cfd-55c085a5ad41", "type": "outboundPhoneCall", "status": "ended",
        "createdAt": "2026-01-02T03:04:05.145Z", "startedAt": "2026-01-02T03:04:14.000Z",
        "endedAt": "2026-01-02T05:04:14.000Z", "endedReason": "customer-ended-call",
        "assistantOverrides": {"metadata": {"pgdial_reference": reference}, "variableValues": {"name": "Ada"}},
        "phoneCallProvider": "twilio", "phoneCallProviderId": "CA00000000000000000000000000000001",
    });
    let prompt = said.repeat(200);
    json!({"message": {
        "type": "end-of-call-report", "timestamp": 1_767_330_254_000_u64, "endedReason": "customer-ended-call",
        "startedAt": "2026-01-02T03:04:14.000Z", "endedAt": "2026-01-02T05:04:14.000Z", "cost": 8.1234,
        "costBreakdown": {"transport": 1.2, "stt": 1.1, "llm": 2.4, "tts": 2.2, "vapi": 1.2, "total": 8.1},
        "analysis": {"summary": "They found a day for the technician.", "successEvaluation": "true"},
        "artifact": {
            "recordingUrl": "https://storage.vapi.ai/lab-mono.wav",
            "messages": turns.clone().map(message).collect::<Vec<_>>(),
            "messagesOpenAIFormatted": turns.clone().map(formatted).collect::<Vec<_>>(),
            "transcript": turns.map(line).collect::<String>(),
        },
        "call": call,
        "assistant": {"name": "Lab", "model": {"provider": "openai", "messages": [
            {"role": "system", "content": prompt},
        ]}},
    }})
}

/// Checks that each report ended its call, and was kept whole.
async fn check(bed: &Bed, reports: usize, size: usize) -> Result<(), Error> {
    let ended = bed
        .number(
            "select count(*) from pgdial.calls where state = 'completed' and outcome = 'answered' \
             and (result ->> 'durationSec')::numeric = 7200",
        )
        .await?;
    let kept = bed
        .number(&format!(
            "select count(*) from pgdial.webhook_events where verdict = 'applied' and length(body) = {size}"
        ))
        .await?;
    let expected = i64::try_from(reports).unwrap_or(i64::MAX);
    if (ended, kept) == (expected, expected) {
        Ok(())
    } else {
        Err(Error::Wrong(format!(
            "of {reports} reports {kept} were kept and {ended} ended their call"
        )))
    }
}
