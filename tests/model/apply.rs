//! How an operation runs: on the library's verbs, then on the model, with a line of the story.

use chrono::{DateTime, TimeDelta};
use pgdial::{
    domain::{CallState, Outcome, Reference, Report, ReportKind},
    flow::{
        amend::Amended, defer::DeferReason, enqueue::Enqueued, lanes::LaneKind, webhook::Event,
    },
    provider::LookedUp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    check,
    database::TestDb,
    model::{CAMPAIGNS, Change, Delivery, MILLISECOND, Model, Moment, NUMBERS, TRUNKS, Wish},
    operations::{
        DialResult, Naming, Operation, STRANGER, Says, dial_name, provider_id, reference,
    },
};

/// Whose idempotency keys, wishes and reasons these are.
const BY: &str = "tester";

type Step = Result<(), String>;

/// The database and the model of it, side by side.
pub(crate) struct Machine<'a> {
    db: &'a TestDb,
    pub(crate) model: Model,
    /// The living ones.
    workers: [Uuid; 2],
    pub(crate) story: Vec<String>,
}

impl<'a> Machine<'a> {
    /// An empty database with the model's trunks and campaigns.
    pub(crate) async fn new(db: &'a TestDb, model: Model) -> Self {
        check::empty(db).await;
        for (name, trunk) in TRUNKS.iter().zip(&model.trunks) {
            let changes = json!({ "slots": trunk.slots, "lookUp": trunk.look_up.as_str() });
            create(db, LaneKind::Trunk, name, &changes).await;
        }
        for (name, lane) in CAMPAIGNS.iter().zip(&model.campaigns) {
            let span = |moment: Moment| format!("{moment} microseconds");
            let changes = json!({
                "trunk": TRUNKS[lane.trunk],
                "cap": lane.cap,
                "redialUnknown": lane.redial_unknown,
                "ringTimeout": span(lane.ring_timeout),
                "maxDuration": span(lane.max_duration),
                "busyBase": span(lane.busy_base),
                "noAnswerBase": span(lane.no_answer_base),
                "faultBase": span(lane.fault_base),
                "backoffCap": span(lane.backoff_cap),
            });
            create(db, LaneKind::Campaign, name, &changes).await;
        }
        Self {
            db,
            model,
            workers: [Uuid::new_v4(), Uuid::new_v4()],
            story: Vec::new(),
        }
    }

    /// One step of the story, and the comparison after it.
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
                let Some(wish) = self.wish(operation) else {
                    return Ok(());
                };
                self.enqueue(&wish).await
            }
            Operation::Claim {
                worker,
                wanted,
                only,
            } => self.claim(*worker, *wanted, *only).await,
            Operation::Result { dial, result } => match dial.dial(&self.model) {
                Some(dial) if self.is_remembered(dial) => self.result(dial, *result).await,
                _ => Ok(()),
            },
            Operation::Webhook {
                dial,
                says,
                naming,
                same_id,
            } => match dial.dial(&self.model) {
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
            Operation::LookUp { dial, says, naming } => match dial.dial(&self.model) {
                Some(dial) => self.look_up(dial, *says, *naming).await,
                None => Ok(()),
            },
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
                // To whole milliseconds, so that halves and quarters of spans are exact.
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

    /// What is asked for; the same again, or the same key with another request.
    fn wish(&self, operation: &Operation) -> Option<Wish> {
        match operation {
            Operation::Enqueue {
                number,
                campaign,
                priority,
                later,
                expires,
                max_attempts,
                key,
            } => Some(Wish {
                number: *number,
                campaign: *campaign,
                priority: *priority,
                run_at: later.map(|by| self.model.now + by),
                expires_at: expires.map(|by| self.model.now + by),
                max_attempts: *max_attempts,
                key: *key,
            }),
            Operation::EnqueueAgain { call, changed } => {
                let call = call.call(&self.model, |call| call.wish.key.is_some())?;
                let mut wish = self.model.calls[call].wish.clone();
                wish.priority = (wish.priority + i16::from(*changed)) % 10;
                Some(wish)
            }
            _ => None,
        }
    }

    async fn enqueue(&mut self, wish: &Wish) -> Step {
        let request = json!({
            "to": NUMBERS[wish.number],
            "scriptId": "welcome",
            "campaign": CAMPAIGNS[wish.campaign],
            "priority": wish.priority,
            "runAt": wish.run_at.map(instant),
            "expiresAt": wish.expires_at.map(instant),
            "maxAttempts": wish.max_attempts,
            "idempotencyKey": wish.key.map(|key| format!("key {key}")),
        });
        let answers = self.db.calls.enqueue(BY, &[request]).await;
        let answer = answers.map_err(text)?.remove(0);
        let answered = self.model.enqueued(wish, &answer);
        let words = match &answer {
            Enqueued::New(id) | Enqueued::Duplicate(id) => self
                .model
                .find(*id)
                .map(|call| format!("call {}", call + 1)),
            _ => None,
        };
        let words = words.unwrap_or_else(|| format!("{answer:?}"));
        self.tell(format!("enqueue {wish} -> {words}"));
        answered
    }

    async fn claim(&mut self, worker: usize, wanted: usize, only: Option<usize>) -> Step {
        let trunks: Vec<usize> = only.map_or_else(|| vec![0, 1], |trunk| vec![trunk]);
        let names: Vec<String> = trunks.iter().map(|at| TRUNKS[*at].to_owned()).collect();
        let id = self.workers[worker];
        let claim = self
            .db
            .calls
            .claim(id, &names, wanted)
            .await
            .map_err(text)?;
        let went = claim
            .calls
            .iter()
            .filter_map(|call| self.model.find(call.id));
        let went: Vec<String> = went.map(|call| (call + 1).to_string()).collect();
        self.tell(format!(
            "worker {worker} claims {wanted} on {} -> calls [{}], wait {:?}",
            names.join(" and "),
            went.join(", "),
            claim.wait
        ));
        self.model.claimed(id, &trunks, wanted, &claim)
    }

    /// Only a worker that lives can say what came of its dial.
    fn is_remembered(&self, (call, dial): (usize, usize)) -> bool {
        self.workers
            .contains(&self.model.calls[call].dials[dial].worker)
    }

    async fn result(&mut self, dial: (usize, usize), result: DialResult) -> Step {
        let name = reference(&self.model, dial);
        let words = format!("{} of {}", result, dial_name(dial));
        let calls = &self.db.calls;
        match result {
            DialResult::Placed { other_id } => {
                let id = said_id(dial, other_id);
                let answer = calls.dialed(name, &id).await.map_err(text)?;
                let expected = self.model.dialed(name, &id);
                self.answered(words, &answer, &expected)
            }
            DialResult::Refused(outcome) => {
                let answer = calls.settle(name, outcome, "said so").await.map_err(text)?;
                let expected = self.model.settle(name, outcome);
                self.answered(words, &answer, &expected)
            }
            DialResult::Unknown => {
                let answer = calls.doubt(name, "no answer").await.map_err(text)?;
                let expected = self.model.doubt(name);
                self.answered(words, &answer, &expected)
            }
            DialResult::Full { retry_after_sec } => {
                self.defer(name, words, DeferReason::Capacity, retry_after_sec)
                    .await
            }
            DialResult::AccountRefused => self.defer(name, words, DeferReason::Account, None).await,
            DialResult::Late => self.defer(name, words, DeferReason::Late, None).await,
            DialResult::Shutdown => self.defer(name, words, DeferReason::Shutdown, None).await,
        }
    }

    async fn defer(
        &mut self,
        dial: Reference,
        words: String,
        reason: DeferReason,
        retry_after_sec: Option<u32>,
    ) -> Step {
        let answer = self
            .db
            .calls
            .defer(dial, reason, retry_after_sec, "said so")
            .await;
        let expected = self.model.defer(dial, reason, retry_after_sec);
        self.answered(words, &answer.map_err(text)?, &expected)
    }

    async fn report(
        &mut self,
        dial: (usize, usize),
        says: Says,
        naming: Naming,
        same_id: bool,
    ) -> Step {
        let mut delivery = self.delivery(dial, says, naming);
        let before = self.model.kept.iter().rev().find(|kept| {
            (kept.delivery.trunk, kept.delivery.reference) == (delivery.trunk, delivery.reference)
        });
        if let (true, Some(before)) = (same_id, before) {
            delivery.event_id.clone_from(&before.delivery.event_id);
        }
        self.tell(format!(
            "webhook {}: {says} of {}, {naming}",
            delivery.event_id,
            dial_name(dial)
        ));
        self.webhook(delivery).await
    }

    fn delivery(&self, dial: (usize, usize), says: Says, naming: Naming) -> Delivery {
        let trunk = self.model.calls[dial.0].dials[dial.1].trunk;
        let own = reference(&self.model, dial);
        let call = &self.model.calls[dial.0];
        let future = Reference {
            claim_no: call.claim_no() + 1,
            ..own
        };
        let stranger = Reference {
            call: STRANGER,
            claim_no: 1,
        };
        Delivery {
            trunk: if naming == Naming::FromOtherTrunk {
                1 - trunk
            } else {
                trunk
            },
            reference: match naming {
                Naming::ProviderId => None,
                Naming::FutureClaim => Some(future),
                Naming::UnknownCall => Some(stranger),
                _ => Some(own),
            },
            event_id: format!("e{}", self.model.kept.len() + 1),
            report: said(says, dial, naming, future),
        }
    }

    async fn webhook(&mut self, delivery: Delivery) -> Step {
        let event = Event {
            trunk: TRUNKS[delivery.trunk],
            reference: delivery.reference,
            event_id: &delivery.event_id,
            signed_at: None,
            body: delivery.event_id.as_bytes(),
            report: &delivery.report,
        };
        let answer = self.db.calls.webhook(event).await.map_err(text)?;
        let expected = self.model.webhook(delivery);
        let words = self.story.pop().unwrap_or_default();
        self.answered(words, &answer, &expected)
    }

    async fn look_up(&mut self, dial: (usize, usize), says: Option<Says>, naming: Naming) -> Step {
        let name = reference(&self.model, dial);
        let (answer, words) = match says {
            Some(says) => {
                let report = self.delivery(dial, says, naming).report;
                (LookedUp::Found(report), format!("{says}, {naming}"))
            }
            None => (LookedUp::NotFound, "not found".to_owned()),
        };
        let answered = self.db.calls.look_up(name, &answer).await.map_err(text)?;
        let expected = Some(self.model.looked_up(name, &answer));
        let words = format!("look-up of {} answers: {words}", dial_name(dial));
        self.answered(words, &answered, &expected)
    }

    async fn ask_due(&mut self) -> Step {
        let trunks = TRUNKS.map(ToOwned::to_owned);
        let due = self
            .db
            .calls
            .look_ups_due(&trunks, 100)
            .await
            .map_err(text)?;
        let mut due: Vec<Reference> = due.iter().map(|due| due.reference()).collect();
        let mut expected = self.model.look_ups_due();
        due.sort_unstable();
        expected.sort_unstable();
        self.answered(format!("{} look-ups are due", due.len()), &due, &expected)
    }

    /// Finished calls stay. Everybody whose end is wished is named, where the provider's
    /// id is known.
    async fn sweep(&mut self) -> Step {
        let trunks = TRUNKS.map(ToOwned::to_owned);
        let swept = self.db.calls.sweep(&trunks, None).await.map_err(text)?;
        self.model.sweep();
        let mut asked: Vec<Reference> = swept.cancels.iter().map(|wish| wish.reference()).collect();
        asked.sort_unstable();
        let wished = self.model.calls.iter().filter(|call| {
            call.cancel_wished && call.state.is_in_flight() && call.provider_id.is_some()
        });
        let mut expected: Vec<Reference> = wished
            .map(|call| Reference {
                call: call.id,
                claim_no: call.claim_no(),
            })
            .collect();
        expected.sort_unstable();
        self.answered("sweep".to_owned(), &asked, &expected)
    }

    async fn give_back(&mut self, worker: usize, holds: usize) -> Step {
        let id = self.workers[worker];
        let calls = self.model.calls.iter().enumerate();
        let own = calls.filter(|(_, call)| call.dials.last().is_some_and(|dial| dial.worker == id));
        let own = own.map(|(at, call)| reference(&self.model, (at, call.dials.len() - 1)));
        let held: Vec<Reference> = own.take(holds).collect();
        let answer = self.db.calls.give_back(id, &held).await.map_err(text)?;
        self.model.give_back(id, &held);
        let words = format!("worker {worker} gives back all but {}", held.len());
        self.answered(words, &answer, &true)
    }

    pub(crate) async fn forward(&mut self, by: Moment) -> Step {
        self.tell(format!(
            "{:?} pass",
            TimeDelta::microseconds(by).to_std().unwrap()
        ));
        let sql = format!("update pgdial.clock set ahead = ahead + interval '{by} microseconds'");
        self.db.sql(&sql).await;
        self.model.now += by;
        Ok(())
    }

    /// Wishes of people.
    async fn people(&mut self, operation: &Operation) -> Step {
        let calls = &self.db.calls;
        match operation {
            Operation::Cancel(pick) => {
                let Some(call) = pick.call(&self.model, |call| !call.state.is_terminal()) else {
                    return Ok(());
                };
                let id = self.model.calls[call].id;
                let answer = calls.cancel(id, BY, None).await.map_err(text)?;
                let expected = self.model.cancel(call);
                self.answered(format!("cancel call {}", call + 1), &answer, &expected)
            }
            Operation::Redrive { call, force } => {
                let Some(call) = call.call(&self.model, |call| call.state.is_terminal()) else {
                    return Ok(());
                };
                let id = self.model.calls[call].id;
                let (answer, _) = calls.redrive(id, BY, None, *force).await.map_err(text)?;
                let expected = self.model.redrive(call, *force);
                let words = if *force {
                    "redrive by force"
                } else {
                    "redrive"
                };
                self.answered(format!("{words} call {}", call + 1), &answer, &expected)
            }
            Operation::Amend { call, change } => {
                let waiting = |call: &crate::model::Call| call.state == CallState::Waiting;
                match call.call(&self.model, waiting) {
                    Some(call) => self.amend(call, *change).await,
                    None => Ok(()),
                }
            }
            Operation::Release(pick) => {
                let Some(call) = pick.call(&self.model, |call| call.hold_until.is_some()) else {
                    return Ok(());
                };
                let id = self.model.calls[call].id;
                let answer = calls.release(id, BY, "it is over").await.map_err(text)?;
                let expected = self.model.release(call);
                self.answered(format!("release call {}", call + 1), &answer, &expected)
            }
            Operation::Forbid(number) => {
                let phone = NUMBERS[*number].parse().unwrap();
                let answer = calls
                    .do_not_call_add(&phone, BY, "asked")
                    .await
                    .map_err(text)?;
                let expected = self.model.forbid(*number);
                self.answered(format!("forbid number {}", number + 1), &answer, &expected)
            }
            Operation::Allow(number) => {
                let phone = NUMBERS[*number].parse().unwrap();
                let answer = calls.do_not_call_remove(&phone).await.map_err(text)?;
                let expected = self.model.allow(*number);
                self.answered(format!("allow number {}", number + 1), &answer, &expected)
            }
            of_a_lane => self.lane(of_a_lane).await,
        }
    }

    async fn amend(&mut self, index: usize, change: Change) -> Step {
        let at = |by: Moment| self.model.now + by;
        let change = Change {
            run_at: change.run_at.map(at),
            expires_at: change.expires_at.map(|expires| expires.map(at)),
            ..change
        };
        let mut changes = json!({});
        let fields = [
            ("priority", change.priority.map(Value::from)),
            ("runAt", change.run_at.map(instant)),
            (
                "expiresAt",
                change.expires_at.map(|at| at.map_or(Value::Null, instant)),
            ),
            ("maxAttempts", change.max_attempts.map(Value::from)),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                changes[field] = value;
            }
        }
        let id = self.model.calls[index].id;
        let answer = self.db.calls.amend(id, BY, &changes).await.map_err(text)?;
        let expected = self.model.amend(index, change);
        let words = format!("amend call {}: {changes}", index + 1);
        let answer = match answer {
            Amended::Invalid(_) => Amended::Invalid(String::new()),
            other => other,
        };
        self.answered(words, &answer, &expected)
    }

    async fn lane(&mut self, operation: &Operation) -> Step {
        let calls = &self.db.calls;
        let (words, answer) = match *operation {
            Operation::PauseCampaign(at) => {
                self.model.campaigns[at].paused = true;
                let answer = calls
                    .pause(LaneKind::Campaign, CAMPAIGNS[at], BY, "asked")
                    .await;
                (format!("pause {}", CAMPAIGNS[at]), answer.map_err(text))
            }
            Operation::ResumeCampaign(at) => {
                self.model.campaigns[at].paused = false;
                let answer = calls.resume(LaneKind::Campaign, CAMPAIGNS[at]).await;
                (format!("resume {}", CAMPAIGNS[at]), answer.map_err(text))
            }
            Operation::PauseTrunk(at) => {
                self.model.trunks[at].paused = true;
                let answer = calls.pause(LaneKind::Trunk, TRUNKS[at], BY, "asked").await;
                (format!("pause {}", TRUNKS[at]), answer.map_err(text))
            }
            Operation::ResumeTrunk(at) => {
                self.model.trunks[at].paused = false;
                let answer = calls.resume(LaneKind::Trunk, TRUNKS[at]).await;
                (format!("resume {}", TRUNKS[at]), answer.map_err(text))
            }
            Operation::MoveCampaign { campaign, trunk } => {
                self.model.campaigns[campaign].trunk = trunk;
                let (name, change) = (CAMPAIGNS[campaign], json!({ "trunk": TRUNKS[trunk] }));
                let answer = calls.set_lane(LaneKind::Campaign, name, &change).await;
                (
                    format!("move {name} to {}", TRUNKS[trunk]),
                    answer.map_err(text),
                )
            }
            _ => return Err(format!("nobody runs {operation:?}")),
        };
        self.answered(words, &answer?, &true)
    }

    /// The line of the story; the answer must be the model's.
    fn answered<T: PartialEq + std::fmt::Debug>(
        &mut self,
        words: String,
        answer: &T,
        expected: &T,
    ) -> Step {
        self.tell(format!("{words} -> {answer:?}"));
        if answer == expected {
            Ok(())
        } else {
            Err(format!("answered {answer:?}, expected {expected:?}"))
        }
    }
}

async fn create(db: &TestDb, kind: LaneKind, name: &str, changes: &Value) {
    assert!(db.calls.create_lane(kind, name, changes).await.unwrap());
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn text(error: impl std::error::Error) -> String {
    format!("{error:?}")
}

/// A moment of the model as the API writes it.
fn instant(moment: Moment) -> Value {
    let begins: DateTime<chrono::Utc> = "2030-01-01T00:00:00Z".parse().unwrap();
    json!(begins + TimeDelta::microseconds(moment))
}

fn said_id(dial: (usize, usize), other: bool) -> String {
    let id = provider_id(dial);
    if other { format!("other-{id}") } else { id }
}

/// The body as the trunk's adapter reads it. `other`: a dial that it is not about.
fn said(says: Says, dial: (usize, usize), naming: Naming, other: Reference) -> Report {
    let (kind, outcome): (ReportKind, Option<Outcome>) = match says {
        Says::Progress => (ReportKind::Progress, None),
        Says::Answered => (ReportKind::Answered, None),
        Says::Ended(outcome) => (ReportKind::Ended, Some(outcome)),
        Says::UnknownWord => (ReportKind::Unknown, None),
        Says::Garbage => (ReportKind::Unparsable, None),
    };
    let names_itself = naming != Naming::ReferenceWithoutId;
    Report {
        kind,
        outcome,
        provider_call_id: names_itself.then(|| said_id(dial, naming == Naming::WithOtherId)),
        reference: (naming == Naming::BodyNamesOtherDial).then(|| other.to_string()),
        event_id: None,
        status: Some(says.to_string()),
        result: json!({}),
    }
}
