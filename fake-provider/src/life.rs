//! One call from its first ring to its last webhook.
//!
//! The order is the witness's promise: the ledger's start line, then the telephone rings; the ledger's end
//! line, then the call is over for every look-up, then the last webhook. A ring that cannot be recorded does
//! not happen.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    calls::{Call, Calls, End, Phase},
    clock,
    delivery::Outbox,
    dialect::{Dialect, Moment},
    ledger::{Event, Ledger},
    rules::{Behaviour, Ending},
};

/// Runs calls.
#[derive(Debug)]
pub(super) struct Guide {
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) calls: Arc<Calls>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) stop: CancellationToken,
}

/// How a wait ended.
enum Waited {
    Through,
    HungUp,
    /// The fake provider shuts down, and with it the line.
    Stopped,
}

impl Guide {
    pub(super) async fn lead(&self, call: &Call, outbox: Outbox) {
        self.tell(call, &outbox, Moment::Queued);
        if call.plan.does(&Behaviour::Garbage) {
            self.tell(call, &outbox, Moment::Garbled);
        }
        let end = match self.queue(call).await {
            Some(end) => end,
            None if call.ending.rings() => self.ring(call, &outbox).await,
            None => End::by(call.ending),
        };
        self.calls.end(call, end);
        // A call that ends with the fake provider is not reported.
        if !self.stop.is_cancelled() {
            self.tell(call, &outbox, Moment::Over);
            self.tell(call, &outbox, Moment::Analyzed);
        }
    }

    fn tell(&self, call: &Call, outbox: &Outbox, moment: Moment) {
        if moment == Moment::Answered && call.plan.does(&Behaviour::LostAnswer) {
            return;
        }
        for webhook in self.dialect.webhooks(call, moment) {
            outbox.post(webhook);
        }
    }

    /// Waits for its turn. It may end there, and has then not rung.
    async fn queue(&self, call: &Call) -> Option<End> {
        match self.wait(call, call.plan.queued?).await {
            Waited::Through => None,
            Waited::HungUp => Some(End::by(Ending::Canceled)),
            Waited::Stopped => Some(End::by(Ending::Failed)),
        }
    }

    /// From the start line to the end line of the ledger.
    async fn ring(&self, call: &Call, outbox: &Outbox) -> End {
        if let Err(error) = self.ledger.write(Event::RingStarted, call.ring()).await {
            tracing::error!(%error, provider.call_id = call.id, "cannot write the ledger, so it does not ring");
            return End::by(Ending::Failed);
        }
        let end = self.ring_and_talk(call, outbox).await;
        if let Err(error) = self.ledger.write(Event::RingEnded, call.ring()).await {
            tracing::error!(%error, provider.call_id = call.id, "cannot write the end of a ring");
        }
        end
    }

    async fn ring_and_talk(&self, call: &Call, outbox: &Outbox) -> End {
        call.goes_on(Phase::Ringing);
        self.tell(call, outbox, Moment::Ringing);
        if call.plan.does(&Behaviour::UnknownWord) {
            self.tell(call, outbox, Moment::Unheard);
        }
        match self.wait(call, call.ring.min(call.ring_timeout)).await {
            Waited::Through if call.ring > call.ring_timeout => End::by(Ending::NoAnswer),
            Waited::Through if self.dialect.is_answered(call.ending) => {
                self.talk(call, outbox).await
            }
            Waited::Through => End::by(call.ending),
            Waited::HungUp => End::by(Ending::Canceled),
            Waited::Stopped => End::by(Ending::Failed),
        }
    }

    async fn talk(&self, call: &Call, outbox: &Outbox) -> End {
        call.goes_on(Phase::InProgress(clock::unix_ms()));
        self.tell(call, outbox, Moment::Answered);
        let began = Instant::now();
        let ending = match self.wait(call, call.talk).await {
            // A call hung up after its answer has had its conversation.
            Waited::HungUp => Ending::Completed,
            Waited::Through | Waited::Stopped => call.ending,
        };
        End {
            talked: Some(began.elapsed()),
            ..End::by(ending)
        }
    }

    async fn wait(&self, call: &Call, time: Duration) -> Waited {
        // Even a timer of zero length costs its rounding, up to a millisecond.
        let through = async {
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Waited::Stopped,
            () = call.hang_up.cancelled() => Waited::HungUp,
            () = through => Waited::Through,
        }
    }
}
