//! Runs an operation on the library's verbs, then on the model, and adds a line to the story.

mod people;
mod reports;
mod workers;

use chrono::{DateTime, TimeDelta};
use pgdial::{
    domain::CallState,
    flow::{enqueue::Enqueued, groups::GroupKind},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    check,
    database::TestDb,
    model::{CAMPAIGNS, CallRequest, MILLISECOND, Model, Moment, NUMBERS, TRUNKS},
    operations::Operation,
};

/// Owner of keys, and author of acts.
const BY: &str = "tester";

type Step = Result<(), String>;

/// The database and its model, side by side.
pub(crate) struct Machine<'a> {
    db: &'a TestDb,
    pub(crate) model: Model,
    /// Workers that are alive.
    workers: [Uuid; 2],
    pub(crate) story: Vec<String>,
}

impl<'a> Machine<'a> {
    /// An empty database with the model's trunks and campaigns.
    pub(crate) async fn new(db: &'a TestDb, model: Model) -> Self {
        check::empty(db).await;
        for (name, trunk) in TRUNKS.iter().zip(&model.trunks) {
            let changes = json!({ "slots": trunk.slots, "lookUp": trunk.look_up.as_str() });
            create(db, GroupKind::Trunk, name, &changes).await;
        }
        for (name, lane) in CAMPAIGNS.iter().zip(&model.campaigns) {
            let span = |moment: Moment| format!("{moment} microseconds");
            let changes = json!({
                "trunk": TRUNKS[lane.trunk],
                "cap": lane.cap,
                "redialUnknown": lane.redial_unknown,
                "guard": lane.guard,
                "ringTimeout": span(lane.ring_timeout),
                "maxDuration": span(lane.max_duration),
                "busyBase": span(lane.busy_base),
                "noAnswerBase": span(lane.no_answer_base),
                "faultBase": span(lane.fault_base),
                "backoffCap": span(lane.backoff_cap),
            });
            create(db, GroupKind::Campaign, name, &changes).await;
        }
        Self {
            db,
            model,
            workers: [Uuid::new_v4(), Uuid::new_v4()],
            story: Vec::new(),
        }
    }

    /// Runs one step of the story and compares afterwards.
    pub(crate) async fn step(&mut self, operation: &Operation) -> Step {
        let told = self.story.len();
        self.apply(operation).await?;
        if self.story.len() == told {
            return Ok(()); // there was nothing that it could be about
        }
        check::check(self.db, &mut self.model).await
    }

    fn tell(&mut self, words: impl Into<String>) {
        self.story.push(words.into());
    }

    async fn apply(&mut self, operation: &Operation) -> Step {
        match operation {
            Operation::Enqueue { .. } | Operation::EnqueueAgain { .. } => {
                let Some(request) = self.request(operation) else {
                    return Ok(());
                };
                self.enqueue(&request).await
            }
            Operation::Claim {
                worker,
                wanted,
                only,
            } => self.claim(*worker, *wanted, *only).await,
            Operation::Result { dial, result } => {
                match dial.dial(&self.model, CallState::is_in_flight) {
                    Some(dial) if self.is_remembered(dial) => self.result(dial, *result).await,
                    _ => Ok(()),
                }
            }
            Operation::Webhook {
                dial,
                says,
                naming,
                same_id,
            } => match dial.dial(&self.model, CallState::is_in_flight) {
                Some(dial) => self.report(dial, *says, *naming, *same_id).await,
                None => Ok(()),
            },
            Operation::WebhookAgain(pick) => {
                let all: Vec<usize> = (0..self.model.kept.len()).collect();
                let Some(kept) = pick.of(&all, |_| true) else {
                    return Ok(());
                };
                let delivery = self.model.kept[kept].delivery.clone();
                self.tell(format!("webhook {} again", delivery.event_id));
                self.webhook(delivery).await
            }
            Operation::AskDue => self.ask_due().await,
            Operation::LookUp { dial, says, naming } => {
                match dial.dial(&self.model, |state| state == CallState::Unresolved) {
                    Some(dial) => self.look_up(dial, *says, *naming).await,
                    None => Ok(()),
                }
            }
            Operation::Sweep => self.sweep().await,
            Operation::GiveBack { worker, holds } => self.give_back(*worker, *holds).await,
            Operation::WorkerDies(worker) => {
                self.workers[*worker] = Uuid::new_v4();
                self.tell(format!("worker {worker} dies and starts afresh"));
                Ok(())
            }
            Operation::Forward(by) => self.forward(*by).await,
            Operation::ForwardTo { nth, off } => {
                let moments = self.model.moments();
                let moment = moments.get(usize::from(*nth) % moments.len().max(1));
                // Rounded up to whole milliseconds, so that halves and quarters of durations are exact.
                let by = moment.map_or(0, |at| at + off - self.model.now);
                let by = (by + MILLISECOND - 1) / MILLISECOND * MILLISECOND;
                if by > 0 {
                    self.forward(by).await
                } else {
                    Ok(())
                }
            }
            of_people => self.people(of_people).await,
        }
    }

    /// The request of this operation: a new one, the same again, or the same key with another request.
    fn request(&self, operation: &Operation) -> Option<CallRequest> {
        match operation {
            Operation::Enqueue {
                number,
                campaign,
                priority,
                later,
                expires,
                max_attempts,
                key,
            } => Some(CallRequest {
                number: *number,
                campaign: *campaign,
                priority: *priority,
                run_at: later.map(|by| self.model.now + by),
                expires_at: expires.map(|by| self.model.now + by),
                max_attempts: *max_attempts,
                key: *key,
            }),
            Operation::EnqueueAgain { call, changed } => {
                let call = call.call(&self.model, |call| call.request.key.is_some())?;
                let mut request = self.model.calls[call].request.clone();
                request.priority = (request.priority + i16::from(*changed)) % 10;
                Some(request)
            }
            _ => None,
        }
    }

    async fn enqueue(&mut self, request: &CallRequest) -> Step {
        let body = json!({
            "to": NUMBERS[request.number],
            "scriptId": "welcome",
            "campaign": CAMPAIGNS[request.campaign],
            "priority": request.priority,
            "runAt": request.run_at.map(instant),
            "expiresAt": request.expires_at.map(instant),
            "maxAttempts": request.max_attempts,
            "idempotencyKey": request.key.map(|key| format!("key {key}")),
        });
        let answers = self.db.calls.enqueue(BY, &[body]).await;
        let answer = answers.map_err(text)?.remove(0);
        let answered = self.model.enqueued(request, &answer);
        let words = match &answer {
            Enqueued::Created(id) | Enqueued::Duplicate(id) => self
                .model
                .find(*id)
                .map(|call| format!("call {}", call + 1)),
            _ => None,
        };
        let words = words.unwrap_or_else(|| format!("{answer:?}"));
        self.tell(format!("enqueue {request} -> {words}"));
        answered
    }

    async fn forward(&mut self, by: Moment) -> Step {
        self.tell(format!(
            "{:?} pass",
            TimeDelta::microseconds(by).to_std().unwrap()
        ));
        let sql = format!("update pgdial.clock set ahead = ahead + interval '{by} microseconds'");
        self.db.sql(&sql).await;
        self.model.now += by;
        Ok(())
    }

    /// Adds the line to the story; the answer must equal the model's.
    fn answered<T: PartialEq + std::fmt::Debug>(
        &mut self,
        words: String,
        answer: &T,
        expected: &T,
    ) -> Step {
        self.tell(words + &format!(" -> {answer:?}"));
        if answer == expected {
            Ok(())
        } else {
            Err(format!("answered {answer:?}, expected {expected:?}"))
        }
    }
}

async fn create(db: &TestDb, kind: GroupKind, name: &str, changes: &Value) {
    assert!(
        db.calls
            .create_group(kind, name, changes, "tester", None)
            .await
            .unwrap()
    );
}

fn text(error: impl std::error::Error) -> String {
    format!("{error:?}")
}

/// A moment of the model as the API writes it.
fn instant(moment: Moment) -> Value {
    let begins: DateTime<chrono::Utc> = "2030-01-01T00:00:00Z".parse().unwrap();
    json!(begins + TimeDelta::microseconds(moment))
}
