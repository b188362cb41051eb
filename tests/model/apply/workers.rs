//! Acts of workers, run on both sides.

use pgdial::{
    domain::Reference,
    flow::{defer::DeferReason, look_up::LookUpDue, sweep::CancelRequest},
};

use super::{Machine, Step, reports::said_id, text};
use crate::{
    model::TRUNKS,
    operations::{DialResult, dial_name, reference},
};

impl Machine<'_> {
    pub(super) async fn claim(
        &mut self,
        worker: usize,
        wanted: usize,
        only: Option<usize>,
    ) -> Step {
        let trunks: Vec<usize> = only.map_or_else(|| vec![0, 1], |trunk| vec![trunk]);
        let names: Vec<String> = trunks.iter().map(|at| TRUNKS[*at].to_owned()).collect();
        let id = self.workers[worker];
        // Whether a session remembers heads depends on how long a walk takes, on which no story may depend.
        self.db
            .sql("select set_config('pgdial.known_heads', '', false)")
            .await;
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

    /// Only a living worker can say what came of its dial.
    pub(super) fn is_remembered(&self, (call, dial): (usize, usize)) -> bool {
        self.workers
            .contains(&self.model.calls[call].dials[dial].worker)
    }

    pub(super) async fn result(&mut self, dial: (usize, usize), result: DialResult) -> Step {
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
            DialResult::NumberLimit => {
                self.defer(name, words, DeferReason::NumberLimit, Some(10))
                    .await
            }
            DialResult::AccountRefused => self.defer(name, words, DeferReason::Account, None).await,
            DialResult::Forbidden => self.defer(name, words, DeferReason::Forbidden, None).await,
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

    pub(super) async fn ask_due(&mut self) -> Step {
        let each = TRUNKS.map(|trunk| (trunk.to_owned(), 100));
        let each = each.into_iter().collect();
        let due = self.db.calls.look_ups_due(&each).await.map_err(text)?;
        let mut due: Vec<Reference> = due.iter().map(LookUpDue::reference).collect();
        let mut expected = self.model.look_ups_due();
        due.sort_unstable();
        expected.sort_unstable();
        self.answered(format!("{} look-ups are due", due.len()), &due, &expected)
    }

    /// Keeps finished calls. Every call to be canceled is listed if the provider's id is known.
    pub(super) async fn sweep(&mut self) -> Step {
        let trunks = TRUNKS.map(ToOwned::to_owned);
        let swept = self.db.calls.sweep(&trunks, None).await.map_err(text)?;
        self.model.sweep();
        let mut asked: Vec<Reference> =
            swept.cancels.iter().map(CancelRequest::reference).collect();
        asked.sort_unstable();
        let wished = self.model.calls.iter().filter(|call| {
            call.cancel_requested && call.state.is_in_flight() && call.provider_id.is_some()
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

    pub(super) async fn give_back(&mut self, worker: usize, holds: usize) -> Step {
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
}
