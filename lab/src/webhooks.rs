//! Signed webhooks, as a provider sends them about calls that the lab's own provider accepted.

use std::{net::SocketAddr, sync::Arc};

use hyper::{StatusCode, Uri};
use pgdial::provider::{
    signature::{self, Secrets},
    tag,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Bed, Error, client::Client, dials::Dial, enqueue::Turns};

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) path: String,
    pub(super) headers: [(&'static str, String); 3],
    pub(super) body: String,
}

impl Webhook {
    /// Signs this body, for this URL. `now` is in seconds of the database's clock, with which pgdial compares it.
    pub(super) fn sign(
        secrets: &Secrets,
        url: &str,
        id: String,
        now: i64,
        body: String,
    ) -> Result<Self, Error> {
        let uri: Uri = url
            .parse()
            .map_err(|_bad| Error::Wrong(format!("{url} is no address")))?;
        let signature = signature::sign_standard(secrets, &id, now, body.as_bytes());
        Ok(Self {
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            headers: [
                (signature::ID, id),
                (signature::TIMESTAMP, now.to_string()),
                (signature::SIGNATURE, signature),
            ],
            body,
        })
    }

    /// Posts it; an error unless it was accepted.
    pub(super) async fn post(&self, client: &mut Client) -> Result<(), Error> {
        let (status, said) = client
            .post_with(&self.path, &self.headers, self.body.clone())
            .await?;
        if status == StatusCode::OK {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        Err(Error::Wrong(format!(
            "a webhook was answered {status}: {said}"
        )))
    }
}

/// The body that says that a call ended well.
pub(super) fn completed(dial: &Dial) -> String {
    let report = json!({
        "callId": dial.provider_call_id(), "reference": dial.reference.to_string(),
        "eventId": dial.reference.to_string(), "status": "COMPLETED", "durationSec": 93, "transcript": "Yes, go on.",
    });
    report.to_string()
}

/// One webhook for each of these calls, for a process that knows these secrets; `body` is what it says.
pub(super) async fn sign_all(
    bed: &Bed,
    secrets: &Secrets,
    dials: &[Dial],
    body: impl Fn(&Dial) -> String,
) -> Result<Vec<Webhook>, Error> {
    let now = bed.number("extract(epoch from pgdial.now())").await?;
    let signed = |dial: &Dial| {
        let url = tag::webhook_url("http://lab", "default", dial.reference, secrets);
        Webhook::sign(secrets, &url, dial.reference.to_string(), now, body(dial))
    };
    dials.iter().map(signed).collect()
}

/// Posts those that it is their turn for, over this many connections.
pub(super) async fn post_all(
    address: SocketAddr,
    clients: usize,
    webhooks: &Arc<Vec<Webhook>>,
    turns: Arc<Turns>,
) -> Result<(), Error> {
    let mut posting = JoinSet::new();
    for _ in 0..clients {
        let mut client = Client::connect(address, "lab").await?;
        let (turns, webhooks) = (Arc::clone(&turns), Arc::clone(webhooks));
        posting.spawn(async move {
            while let Some(webhook) = turns.next().and_then(|nth| webhooks.get(nth)) {
                webhook.post(&mut client).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = posting.join_next().await {
        done??;
    }
    Ok(())
}
