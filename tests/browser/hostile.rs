//! What strangers may put on a screen: markup, words without end, and marks that turn the direction of text.

use pgdial::{
    domain::{CallId, ClaimedCall, Concerns, Outcome, Phone, Report, ReportKind},
    flow::{
        enqueue::Enqueued,
        groups::GroupKind::{Campaign, Trunk},
        heartbeat::Worker,
        webhook::Event,
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::database::TestDb;

/// As long as names may be. No process dials on this trunk, so what is staged on it stays as it is.
const TRUNK: &str = "t_wwwwwwwwwwwwwwwwwwwwwwwwwwwww";
const CAMPAIGN: &str = "c_wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";
const MARKUP: &str = "\"><script>ran=1</script><img src=x onerror=ran=1>\u{202e}krowten\u{2066}<b>";

/// Markup, and a word that no line holds.
fn words() -> String {
    format!("{MARKUP} {} hostile", "W".repeat(200))
}

/// The same, where 200 characters are the limit.
fn short() -> String {
    format!("hostile{MARKUP}{}", "W".repeat(120))
}

/// Stages it. Returns what there is to be seen: for each path with a parameter the things that stand for it, for some
/// others their queries.
pub(crate) async fn arrange(db: &TestDb) -> Value {
    let words = words();
    let on_trunk = json!({"trunk": TRUNK, "noAnswerBase": "1 day"});
    for (kind, name, changes) in [(Trunk, TRUNK, json!({})), (Campaign, CAMPAIGN, on_trunk)] {
        let made = db.calls.create_group(kind, name, &changes, &words, None);
        assert!(made.await.unwrap());
    }
    let worker = Worker {
        id: Uuid::new_v4(),
        host: words.clone(),
        pid: 7,
        release: "0.1.0",
        permits: 30,
        trunks: vec![TRUNK.to_owned()],
        stopping: false,
    };
    db.calls.heartbeat(&worker).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..WAYS {
        ids.push(enqueue(db, CAMPAIGN, n).await);
    }
    let trunks = [TRUNK.to_owned()];
    let claim = db.calls.claim(worker.id, &trunks, WAYS).await.unwrap();
    assert_eq!(claim.calls.len(), WAYS);
    for (n, call) in claim.calls.iter().enumerate() {
        go(db, n, call).await;
    }
    let mut more = Vec::new();
    for n in WAYS..WAYS + 4 {
        more.push(enqueue(db, CAMPAIGN, n).await);
    }
    let [waiting, canceled, to_amend, to_cancel] = more[..] else {
        unreachable!("so many more");
    };
    // Of another campaign, for what is done with many.
    for way in [1, 2] {
        enqueue(db, "default", WAYS + 3 + way).await;
        let trunk = ["default".to_owned()];
        let claim = db.calls.claim(worker.id, &trunk, 1).await.unwrap();
        go(db, way, &claim.calls[0]).await;
    }
    for (kind, name) in [(Trunk, TRUNK), (Campaign, CAMPAIGN)] {
        let paused = db.calls.pause(kind, name, &words, &words);
        assert!(paused.await.unwrap());
    }
    let cancel = db.calls.cancel(canceled, &words, Some(&words));
    cancel.await.unwrap();
    let listed = Phone::stored(&number(99)).unwrap();
    let list = db.calls.do_not_call_add(&listed, &words, &words);
    assert!(list.await.unwrap());
    let endpoint = json!({"url": format!("https://crm.example.com/?{}", "W".repeat(200))});
    let endpoint = db.calls.create_endpoint("crm", &endpoint, &words, None);
    assert!(endpoint.await.unwrap().is_some());
    let key = json!({"scope": "read"});
    let key = db.calls.create_key("crm", &key, &words, None);
    assert!(key.await.unwrap().is_some());
    let of_campaign = format!("?campaign={CAMPAIGN}");
    let [_, doubt, refused, .., unknown] = ids[..] else {
        unreachable!("so many ways");
    };
    ids.extend([waiting, canceled]);
    json!({"places": {
        "/ui/campaigns/{name}": ["default", CAMPAIGN],
        "/ui/trunks/{name}": ["default", TRUNK],
        "/ui/workers/{id}": [worker.id],
        "/ui/endpoints/{name}": ["crm"],
        "/ui/keys/{name}": ["crm"],
        "/ui/calls": ["", &of_campaign, "?q=hostile", "?state=failed", "?q=%3Cscript%3Eran%3D1%3C/script%3E%E2%80%AE"],
        "/ui/calls/cancel": ["?campaign=default"],
        "/ui/calls/redrive": ["?campaign=default&state=failed"],
        "/ui/calls/resolve": ["?campaign=default&state=unresolved"],
        "/ui/calls/{id}": ids,
        "/ui/calls/{id}/unmask": [ids[5]],
        "/ui/calls/{id}/amend": [to_amend],
        "/ui/calls/{id}/cancel": [to_cancel],
        "/ui/calls/{id}/redrive": [refused],
        "/ui/calls/{id}/resolve": [doubt],
        "/ui/calls/{id}/release": [unknown],
        "/ui/failures": ["", &of_campaign],
    }})
}

fn number(n: usize) -> String {
    format!("+1415555{n:04}")
}

async fn enqueue(db: &TestDb, campaign: &str, n: usize) -> CallId {
    let request = json!({
        "to": number(n), "scriptId": short(), "campaign": campaign, "consentRef": short(),
        "idempotencyKey": format!("{n}{}", short()),
        "metadata": {"name": words(), "nested": {words(): [words()]}},
    });
    match db.calls.enqueue(&words(), &[request]).await.unwrap()[..] {
        [Enqueued::Created(id)] => id,
        ref other => unreachable!("not enqueued: {other:?}"),
    }
}

/// How many ways a call goes in [`go`].
const WAYS: usize = 8;

/// The nth call goes the nth way; the first stays as the claim made it.
async fn go(db: &TestDb, n: usize, call: &ClaimedCall) {
    let (dial, words) = (call.reference(), words());
    let reports = match n {
        0 => return,
        1 => {
            assert!(db.calls.doubt(dial, &words).await.unwrap());
            return;
        }
        2 => {
            let about = Concerns::Number;
            let refused = db
                .calls
                .settle_refusal(dial, Outcome::InvalidNumber, about, &words);
            refused.await.unwrap();
            return;
        }
        3 => vec![Report::new(ReportKind::Progress)],
        4 => vec![Report::new(ReportKind::Answered)],
        5 => vec![
            Report::new(ReportKind::Unknown),
            Report::ended(Outcome::Answered),
        ],
        _ => vec![],
    };
    let id = format!("{n}{words}");
    assert!(db.calls.dialed(dial, &id).await.unwrap().in_call);
    if reports.is_empty() {
        let gone = db.calls.settle(dial, Outcome::Unknown, &words);
        gone.await.unwrap();
    }
    for (at, report) in reports.into_iter().enumerate() {
        let report = Report {
            status: Some(words.clone()),
            result: json!({
                "summary": words, "transcript": [{"role": words, "text": words}], &words: 1,
            }),
            ..report
        };
        let event = Event {
            trunk: TRUNK,
            reference: Some(dial),
            event_id: &format!("{n} {at} {words}"),
            signed_at: None,
            body: words.as_bytes(),
            report: &report,
        };
        db.calls.webhook(event).await.unwrap();
    }
}
