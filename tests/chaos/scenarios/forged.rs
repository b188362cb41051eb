//! Webhooks that belong elsewhere: a signed body at another call's URL, and a body about this call signed by another
//! trunk's provider.

use std::time::Duration;

use pgdial::{
    domain::Reference,
    provider::{
        signature::{Secrets, sign_plain},
        tag,
    },
};
use serde_json::json;

use super::{Played, comes, ensure, judge};
use crate::{
    proxy::is_whole,
    setup::{Setup, TrunkSetup},
    stage::Stage,
};

/// A webhook as recorded on the wire.
struct Heard {
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

pub(super) async fn play() -> Played {
    let trunk = |name| TrunkSetup::new(name, "none");
    let setup = Setup {
        trunks: vec![trunk("default"), trunk("other")],
        ..Setup::small("forged")
    };
    // The second call's provider reports nothing for 15 s, so only the URL tells the calls apart.
    let stage = Stage::full(&setup.rules(&["*02=slow:15s,late:16s"])).await;
    stage.door.listen_in();
    let first = stage.enqueue("+14155550001").await;
    comes(
        "the first call is over",
        Duration::from_secs(20),
        async || stage.state(&first).await == "completed",
    )
    .await?;
    let captured = last_webhook(&stage.door.heard())?;

    let second = stage.enqueue("+14155550002").await;
    comes(
        "the second is dialing",
        Duration::from_secs(20),
        async || stage.state(&second).await == "dialing",
    )
    .await?;
    for (what, forged) in forgeries(&stage, &captured, &first, &second) {
        let before = row(&stage, &second).await;
        let status = send(&stage, &forged).await;
        let after = row(&stage, &second).await;
        ensure(before == after, || {
            format!("{what} (answered {status}) has changed the call: {before} -> {after}")
        })?;
    }
    let still = stage.state(&second).await;
    ensure(still == "dialing", || {
        format!("the story took too long: the second call is {still} already")
    })?;
    stage.until_all_over(Duration::from_mins(1)).await?;
    let rings = judge(&stage).await?;
    ensure(rings.count == 2, || {
        format!("P1: {} rings for two calls", rings.count)
    })?;
    let ended = stage.state(&second).await;
    ensure(ended == "completed", || {
        format!("the second call ended as {ended}")
    })?;
    Ok("five forgeries changed nothing".to_owned())
}

fn forgeries(
    stage: &Stage,
    captured: &Heard,
    first: &str,
    second: &str,
) -> Vec<(&'static str, Heard)> {
    let secrets = |at: usize| -> Secrets { stage.trunks[at].secret.parse().unwrap() };
    let (ours, theirs) = (secrets(0), secrets(1));
    let (mine, target): (Reference, Reference) = (
        format!("{first}-1").parse().unwrap(),
        format!("{second}-1").parse().unwrap(),
    );
    // The URL the provider was given for the second call, and the first call's URL with the second one's reference
    // written over its own.
    let url_of_second = tag::webhook_url("", "default", target, &ours);
    let rewritten = tag::webhook_url("", "default", mine, &ours).replacen(
        &mine.to_string(),
        &target.to_string(),
        1,
    );
    let about_nobody =
        json!({"callId": "call_1", "eventId": "e-1", "status": "COMPLETED"}).to_string();
    let about_second =
        json!({"callId": "call_2", "eventId": "e-2", "status": "COMPLETED", "reference": target.to_string()}).to_string();
    let signed = |secrets: &Secrets, path: &str, body: &str| Heard {
        path: path.to_owned(),
        headers: vec![(
            "x-signature".to_owned(),
            sign_plain(secrets, body.as_bytes()),
        )],
        body: body.to_owned(),
    };
    let captured_at = |path: &str| Heard {
        path: path.to_owned(),
        headers: captured.headers.clone(),
        body: captured.body.clone(),
    };
    vec![
        (
            "a captured body at another call's URL",
            captured_at(&url_of_second),
        ),
        (
            "a captured body at its own URL with another call's reference",
            captured_at(&rewritten),
        ),
        (
            "a signed body that names no call, at a URL with another call's reference",
            signed(&ours, &rewritten, &about_nobody),
        ),
        (
            "a body signed by another trunk",
            signed(&theirs, &url_of_second, &about_second),
        ),
        (
            "a body signed by another trunk, at that trunk's URL",
            signed(
                &theirs,
                &tag::webhook_url("", "other", target, &theirs),
                &about_second,
            ),
        ),
    ]
}

/// The row, except for what changes when the provider is asked about it.
async fn row(stage: &Stage, id: &str) -> String {
    let sql = format!(
        "select concat_ws(' ', state, claim_no, attempt, outcome, provider_call_id, answered_at, ended_at, hold_until)
         from pgdial.calls where id = '{id}'"
    );
    stage.text(&sql).await
}

async fn send(stage: &Stage, webhook: &Heard) -> u16 {
    let mut request = reqwest::Client::new().post(format!("{}{}", stage.url(), webhook.path));
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    request
        .body(webhook.body.clone())
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

/// The last recorded webhook, with the headers that sign it.
fn last_webhook(pieces: &[Vec<u8>]) -> Result<Heard, String> {
    let pieces = pieces.iter().filter(|piece| is_whole(piece));
    let mut texts = pieces.map(|piece| String::from_utf8_lossy(piece).into_owned());
    let found = texts.rfind(|text| text.contains("COMPLETED"));
    let text = found.ok_or("no webhook was heard")?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no body was heard")?;
    let path = head.split(' ').nth(1).ok_or("no path was heard")?;
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    let signing = headers.filter(|(name, _)| name.to_lowercase().starts_with("webhook-"));
    Ok(Heard {
        path: path.to_owned(),
        headers: signing
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    })
}
