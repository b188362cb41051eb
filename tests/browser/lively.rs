//! A working day, for pictures: an hour of calls that went their ways, and some that are under way. Everything is done
//! by the verbs that a worker and a provider's webhooks use, while the database's clock is moved on; the same in
//! every run.

use std::{collections::BTreeMap, time::Duration};

use pgdial::{
    domain::{ClaimedCall, Concerns, Outcome, Phone, Report, ReportKind},
    flow::{
        enqueue::Enqueued,
        groups::GroupKind::{Campaign, Trunk},
        heartbeat::Worker,
        hours::RulesKind::CallingHours,
        webhook::Event,
    },
    provider::{Capabilities, Idempotency, LookUps, Webhooks, account_of},
    trunks::Declared,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::database::TestDb;

/// Steps of the clock, and how long one is.
const STEPS: usize = 190;
const STEP: &str = "20 seconds";
const SLOTS: usize = 30;
const NAMES: [&str; 12] = [
    "Ada", "Grace", "Edsger", "Barbara", "Niklaus", "Frances", "Donald", "Radia", "Tony", "Lynn",
    "Dennis", "Karen",
];
const CITIES: [(&str, &str); 6] = [
    ("212", "New York"),
    ("305", "Miami"),
    ("312", "Chicago"),
    ("415", "San Francisco"),
    ("512", "Austin"),
    ("206", "Seattle"),
];

/// What has been staged so far.
struct Lively {
    db: TestDb,
    workers: Vec<Worker>,
    enqueued: usize,
    live: Vec<Live>,
    events: usize,
}

/// A call under way, so many steps after its claim.
struct Live {
    call: ClaimedCall,
    age: usize,
    luck: usize,
}

/// Stages it. Returns what there is to be seen, and what keeps the workers alive.
pub(crate) async fn arrange(db: &TestDb) -> (Value, JoinSet<()>) {
    let workers = ["dial-1", "dial-2"].map(|host| Worker {
        id: Uuid::new_v4(),
        host: host.to_owned(),
        pid: 1,
        release: env!("CARGO_PKG_VERSION"),
        permits: 20,
        trunks: vec!["default".to_owned(), "backup".to_owned()],
        stopping: false,
    });
    let mut scene = Lively {
        db: db.clone(),
        workers: workers.into(),
        enqueued: 0,
        live: Vec::new(),
        events: 0,
    };
    scene.db.calls = scene.db.calls.clone().at(accounts());
    db.sql(&format!(
        "update pgdial.clock set ahead = -{STEPS} * interval '{STEP}'"
    ))
    .await;
    scene.set_up().await;
    for step in 0..STEPS {
        scene.pass(step).await;
        db.sql(&format!(
            "update pgdial.clock set ahead = ahead + interval '{STEP}'"
        ))
        .await;
    }
    db.sql("update pgdial.clock set ahead = '0'").await;
    let seen = scene.seen().await;
    let mut alive = JoinSet::new();
    scene.beat().await;
    alive.spawn(async move {
        loop {
            // As often as a worker does; nothing waits for it.
            tokio::time::sleep(Duration::from_secs(2)).await;
            scene.beat().await;
        }
    });
    (seen, alive)
}

/// What the adapters of the two trunks say of their accounts.
fn accounts() -> BTreeMap<String, Declared> {
    let retell = Capabilities {
        look_up: Some(LookUps::Hint),
        idempotency: Some(Idempotency::Untried(Duration::from_hours(1))),
        cancels: Some(true),
        lists: Some(false),
        webhooks: Some(Webhooks::PerCall),
        calls_per_second: Some(1.0),
        ..Capabilities::UNKNOWN
    };
    let twilio = Capabilities {
        look_up: Some(LookUps::ById),
        idempotency: Some(Idempotency::None),
        ..retell
    };
    let trunk = |name: &str, adapter: &str, capabilities| {
        let host = format!("api.{adapter}.example");
        let account = Some(account_of(adapter, &host, &[name]));
        (
            name.to_owned(),
            Declared {
                account,
                capabilities,
            },
        )
    };
    [
        trunk("default", "retell", retell),
        trunk("backup", "twilio", twilio),
    ]
    .into()
}

impl Lively {
    async fn beat(&self) {
        for worker in &self.workers {
            self.db.calls.heartbeat(worker).await.unwrap();
        }
    }

    async fn set_up(&mut self) {
        let calls = self.db.calls.clone();
        // Closed today, wherever today is.
        let day = "to_char(pgdial.now() + interval '3 days', 'dy')";
        let day = self.db.text(day).await;
        let hours = json!({"week": format!("{day} 09:00-17:00")});
        calls
            .set_rules(CallingHours, "clinic", &hours, "ann", None)
            .await
            .unwrap();
        calls
            .create_group(
                Trunk,
                "backup",
                &json!({"slots": 8, "callsPerSecond": 2}),
                "ann",
                None,
            )
            .await
            .unwrap();
        for (name, changes) in [
            (
                "spring_renewal",
                json!({"weight": 3, "cap": 18, "goal": {"outcome": "answered", "count": 700}}),
            ),
            (
                "payment_reminders",
                json!({"cap": 10, "noAnswerBase": "3 minutes"}),
            ),
            ("appointments", json!({"callingHours": "clinic"})),
            ("win_back", json!({"guard": 10})),
            ("overnight", json!({"trunk": "backup"})),
        ] {
            let made = calls.create_group(Campaign, name, &changes, "ann", None);
            assert!(made.await.unwrap());
        }
        self.beat().await;
        self.enqueue("spring_renewal", 900).await;
        self.enqueue("payment_reminders", 60).await;
        self.enqueue("appointments", 85).await;
        for (n, reason) in ["asked by phone", "asked by mail", "asked during a call"]
            .iter()
            .enumerate()
        {
            let phone = Phone::stored(&format!("+1602555{:04}", 100 + n)).unwrap();
            calls.do_not_call_add(&phone, "bob", reason).await.unwrap();
        }
        for (name, scope) in [("crm", "enqueue"), ("warehouse", "read")] {
            calls
                .create_key(name, &json!({"scope": scope}), "ann", None)
                .await
                .unwrap();
        }
        let crm = json!({"url": "https://crm.example.com/hooks/calls"});
        calls
            .create_endpoint("crm", &crm, "ann", None)
            .await
            .unwrap();
    }

    async fn enqueue(&mut self, campaign: &str, count: usize) {
        let requests: Vec<Value> = (0..count)
            .map(|_| {
                self.enqueued += 1;
                let n = self.enqueued;
                let (code, city) = CITIES[n % CITIES.len()];
                json!({
                    "to": format!("+1{code}555{:04}", 100 + n / CITIES.len()),
                    "scriptId": format!("{campaign}_v2"), "campaign": campaign,
                    "metadata": {"name": NAMES[n % NAMES.len()], "city": city, "order": format!("A-{}", 20_000 + n)},
                })
            })
            .collect();
        let enqueued = self.db.calls.enqueue("crm", &requests).await.unwrap();
        assert!(enqueued.iter().all(|it| matches!(it, Enqueued::Created(_))));
    }

    /// One step of the clock.
    async fn pass(&mut self, step: usize) {
        self.beat().await;
        if step.is_multiple_of(3) {
            self.enqueue("payment_reminders", 1 + step % 2).await;
        }
        if step == 60 {
            self.enqueue("win_back", 40).await;
        }
        if step == STEPS - 12 {
            self.enqueue("overnight", 14).await;
        }
        let mut going = Vec::new();
        for mut live in std::mem::take(&mut self.live) {
            live.age += 1;
            if self.goes_on(&live).await {
                going.push(live);
            }
        }
        self.live = going;
        self.claim(step).await;
    }

    async fn claim(&mut self, step: usize) {
        let free = SLOTS - 2 - self.live.len();
        let worker = self.workers[step % 2].id;
        let trunks = ["default".to_owned(), "backup".to_owned()];
        let claim = self
            .db
            .calls
            .claim(worker, &trunks, free.min(6))
            .await
            .unwrap();
        for call in claim.calls {
            let dial = call.reference();
            if call.campaign == "win_back" {
                let words = "HTTP 404: no agent with the id win_back_v2";
                let concerns = Concerns::Script;
                let refused = self
                    .db
                    .calls
                    .settle_refusal(dial, Outcome::Blocked, concerns, words);
                refused.await.unwrap();
            } else if call.trunk == "backup" {
                let words = "the connection was reset before the response";
                self.db.calls.doubt(dial, words).await.unwrap();
            } else {
                self.events += 1;
                let luck = self.events * 37 % 100;
                self.live.push(Live { call, age: 0, luck });
            }
        }
    }

    /// What happens to a call in this step; false once it has ended.
    async fn goes_on(&mut self, live: &Live) -> bool {
        let dial = live.call.reference();
        if live.age == 1 {
            if live.luck >= 96 {
                let words = "HTTP 400: the number is not in service";
                let refused = self.db.calls.settle_refusal(
                    dial,
                    Outcome::InvalidNumber,
                    Concerns::Number,
                    words,
                );
                refused.await.unwrap();
                return false;
            }
            let id = format!("call_{:08x}", live.luck * 7_919 + self.events * 104_729);
            self.db.calls.dialed(dial, &id).await.unwrap();
            self.report(
                live,
                Report::new(ReportKind::Progress),
                "ringing",
                json!({}),
            )
            .await;
            return true;
        }
        let (after, outcome, words) = match live.luck {
            0..58 => (4 + live.luck % 7, Outcome::Answered, "user_hangup"),
            58..72 => (3, Outcome::NoAnswer, "dial_no_answer"),
            72..80 => (2, Outcome::Busy, "dial_busy"),
            80..88 => (3, Outcome::Voicemail, "voicemail_reached"),
            88..92 => (2, Outcome::Declined, "call_declined"),
            92..94 => (3, Outcome::Unreachable, "no route to the network"),
            _ => (3, Outcome::ProviderFault, "error_llm_websocket_open"),
        };
        if live.age >= after {
            let result = match outcome {
                Outcome::Answered => json!({
                    "durationSec": (live.age - 2) * 20, "cost": 0.07,
                    "summary": "Confirmed the renewal, and asked for an invoice by mail.",
                    "recordingUrl": "https://recordings.example.com/r/7f3a",
                    "transcript": [
                        {"role": "agent", "text": "Good afternoon, this is Robin from Example Energy."},
                        {"role": "callee", "text": "Yes, hello."},
                        {"role": "agent", "text": "Your contract ends in April. Shall we renew it?"},
                        {"role": "callee", "text": "Please do, and send me the invoice."},
                    ],
                }),
                _ => json!({"reason": words}),
            };
            self.report(live, Report::ended(outcome), words, result)
                .await;
            return false;
        }
        if live.age == 2 && outcome == Outcome::Answered {
            self.report(
                live,
                Report::new(ReportKind::Answered),
                "ongoing",
                json!({}),
            )
            .await;
        }
        true
    }

    async fn report(&mut self, live: &Live, report: Report, status: &str, result: Value) {
        self.events += 1;
        let report = Report {
            status: Some(status.to_owned()),
            result,
            ..report
        };
        let event = Event {
            trunk: &live.call.trunk,
            reference: Some(live.call.reference()),
            event_id: &format!("evt_{}", self.events),
            signed_at: None,
            body: report.result.to_string().into_bytes().leak(),
            report: &report,
        };
        self.db.calls.webhook(event).await.unwrap();
    }

    /// What the pictures show: of each kind of call the one with the most to tell.
    async fn seen(&self) -> Value {
        let one = async |condition: &str| {
            let sql = format!("select id from pgdial.calls where {condition} order by id limit 1");
            Value::from(self.db.text(&sql).await)
        };
        json!({
            "places": {
                "/ui/trunks/{name}": ["default"],
                "/ui/campaigns/{name}": ["spring_renewal"],
                "/ui/calls/{id}": [one("state = 'completed' and attempt > 1").await],
                "/ui/workers/{id}": [self.workers[0].id],
                "/ui/endpoints/{name}": ["crm"],
                "/ui/keys/{name}": ["crm"],
            },
        })
    }
}
