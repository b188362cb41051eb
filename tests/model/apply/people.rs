//! Requests of people, run on both sides.

use pgdial::{
    domain::CallState,
    flow::{amend::Amended, groups::GroupKind},
};
use serde_json::{Value, json};

use super::{BY, Machine, Step, instant, text};
use crate::{
    model::{CAMPAIGNS, Call, Change, Expiry, Moment, NUMBERS, SECOND, TRUNKS},
    operations::Operation,
};

impl Machine<'_> {
    pub(super) async fn people(&mut self, operation: &Operation) -> Step {
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
                let waiting = |call: &Call| call.state == CallState::Waiting;
                match call.call(&self.model, waiting) {
                    Some(call) => self.amend(call, *change).await,
                    None => Ok(()),
                }
            }
            Operation::Release(pick) => {
                let Some(call) =
                    pick.call(&self.model, |call| call.hold_until > Some(self.model.now))
                else {
                    return Ok(());
                };
                let id = self.model.calls[call].id;
                let answer = calls.release(id, BY, "it is over").await.map_err(text)?;
                let expected = self.model.release(call);
                self.answered(format!("release call {}", call + 1), &answer, &expected)
            }
            Operation::Resolve { call, r#as } => {
                let in_doubt = |call: &Call| self.model.is_in_doubt(call);
                let Some(call) = call.call(&self.model, in_doubt) else {
                    return Ok(());
                };
                let id = self.model.calls[call].id;
                let answer = calls.resolve(id, *r#as, None, BY, "they say so").await;
                let expected = self.model.resolve(call, *r#as);
                let expected = (expected, Some(self.model.calls[call].state));
                let words = format!("resolve call {} as {as:?}", call + 1);
                self.answered(words, &answer.map_err(text)?, &expected)
            }
            Operation::Forbid(number) => self.forbid(*number).await,
            Operation::Allow(number) => self.allow(*number).await,
            of_a_lane => self.lane(of_a_lane).await,
        }
    }

    async fn forbid(&mut self, number: usize) -> Step {
        let phone = NUMBERS[number].parse().unwrap();
        let answer = self.db.calls.do_not_call_add(&phone, BY, "asked").await;
        let expected = self.model.forbid(number);
        let words = format!("forbid number {}", number + 1);
        self.answered(words, &answer.map_err(text)?, &expected)
    }

    async fn allow(&mut self, number: usize) -> Step {
        let phone = NUMBERS[number].parse().unwrap();
        let answer = self
            .db
            .calls
            .do_not_call_remove(&phone, "tester", None)
            .await;
        let expected = self.model.allow(number);
        let words = format!("allow number {}", number + 1);
        self.answered(words, &answer.map_err(text)?, &expected)
    }

    async fn amend(&mut self, index: usize, change: Change) -> Step {
        let at = |by: Moment| self.model.now + by;
        let change = Change {
            run_at: change.run_at.map(at),
            expires_at: change.expires_at.map(|expiry| match expiry {
                Expiry::At(by) => Expiry::At(at(by)),
                Expiry::Never => Expiry::Never,
            }),
            ..change
        };
        let mut changes = json!({});
        let fields = [
            ("priority", change.priority.map(Value::from)),
            ("runAt", change.run_at.map(instant)),
            (
                "expiresAt",
                change.expires_at.map(|expiry| match expiry {
                    Expiry::At(at) => instant(at),
                    Expiry::Never => Value::Null,
                }),
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
                    .pause(GroupKind::Campaign, CAMPAIGNS[at], BY, "asked")
                    .await;
                (format!("pause {}", CAMPAIGNS[at]), answer.map_err(text))
            }
            Operation::ResumeCampaign(at) => {
                self.model.resume_campaign(at);
                let answer = calls
                    .resume(GroupKind::Campaign, CAMPAIGNS[at], "tester", None)
                    .await;
                (format!("resume {}", CAMPAIGNS[at]), answer.map_err(text))
            }
            Operation::PauseTrunk(at) => {
                self.model.trunks[at].paused = true;
                let answer = calls.pause(GroupKind::Trunk, TRUNKS[at], BY, "asked").await;
                (format!("pause {}", TRUNKS[at]), answer.map_err(text))
            }
            Operation::ResumeTrunk(at) => {
                self.model.resume_trunk(at);
                let answer = calls
                    .resume(GroupKind::Trunk, TRUNKS[at], "tester", None)
                    .await;
                (format!("resume {}", TRUNKS[at]), answer.map_err(text))
            }
            Operation::MoveCampaign { campaign, trunk } => {
                self.model.campaigns[campaign].trunk = trunk;
                let (name, change) = (CAMPAIGNS[campaign], json!({ "trunk": TRUNKS[trunk] }));
                let answer = calls
                    .set_group(GroupKind::Campaign, name, &change, "tester", None)
                    .await;
                (
                    format!("move {name} to {}", TRUNKS[trunk]),
                    answer.map_err(text),
                )
            }
            Operation::SetMaxDuration { campaign, to } => {
                self.model.campaigns[campaign].max_duration = to;
                let seconds = to / SECOND;
                let (name, change) = (
                    CAMPAIGNS[campaign],
                    json!({ "maxDuration": format!("{seconds} seconds") }),
                );
                let answer = calls
                    .set_group(GroupKind::Campaign, name, &change, "tester", None)
                    .await;
                (
                    format!("calls of {name} may last {seconds} s"),
                    answer.map_err(text),
                )
            }
            _ => return Err(format!("nobody runs {operation:?}")),
        };
        self.answered(words, &answer?, &true)
    }
}
