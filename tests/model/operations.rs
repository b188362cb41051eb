//! What may happen, and how it is told.
//!
//! An operation refers to things by a [`Pick`] rather than an id, so that it keeps a meaning whatever shrinking
//! removes before it.

mod draw;

use std::fmt;

use pgdial::domain::{CallId, CallState, Outcome, Reference, Resolution};

pub(crate) use self::draw::{operation, world};
use crate::model::{CAMPAIGNS, Call, CallRequest, Change, Model, Moment, SECOND};

/// Where a pick looks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Among {
    /// Those the operation is meant for: dials in flight, calls that are over, ...
    Apt,
    /// The others: dials that were given up, calls that are not over, ...
    Others,
    All,
}

/// Which of the calls or dials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub(crate) among: Among,
    /// 0 is the newest.
    pub(crate) nth: u8,
}

impl Pick {
    /// The picked one of these, newest last. If there are none of the kind it looks for, one of all.
    pub(crate) fn of<T: Copy>(self, all: &[T], suits: impl Fn(T) -> bool) -> Option<T> {
        let wanted = |one: &T| match self.among {
            Among::Apt => suits(*one),
            Among::Others => !suits(*one),
            Among::All => true,
        };
        let wanted: Vec<T> = all.iter().copied().filter(wanted).collect();
        let from = if wanted.is_empty() { all } else { &wanted };
        let nth = usize::from(self.nth) % from.len().max(1);
        from.iter().rev().nth(nth).copied()
    }

    pub(crate) fn call(self, model: &Model, suits: impl Fn(&Call) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..model.calls.len()).collect();
        self.of(&all, |call| suits(&model.calls[call]))
    }

    /// The present dial of a suitable call, one that was given up, or any.
    pub(crate) fn dial(
        self,
        model: &Model,
        suits: impl Fn(CallState) -> bool,
    ) -> Option<(usize, usize)> {
        let calls = model.calls.iter().enumerate();
        let all: Vec<(usize, usize)> = calls
            .flat_map(|(at, call)| (0..call.dials.len()).map(move |dial| (at, dial)))
            .collect();
        self.of(&all, |(at, dial)| {
            let call = &model.calls[at];
            suits(call.state) && dial + 1 == call.dials.len()
        })
    }
}

/// What a worker says about its dial.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DialResult {
    /// `other_id`: the provider returns a different id than its webhooks contain.
    Placed {
        other_id: bool,
    },
    Refused(Outcome),
    Full {
        retry_after_sec: Option<u32>,
    },
    NumberLimit,
    AccountRefused,
    Forbidden,
    Unknown,
    Late,
    Shutdown,
}

/// What a provider reports about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Progress,
    Answered,
    Ended(Outcome),
    /// Ended with this outcome, and the body proves that it had been answered.
    Dropped(Outcome),
    UnknownWord,
    Garbage,
}

/// How an event names its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Reference,
    ReferenceWithoutId,
    ProviderId,
    WithOtherId,
    FromOtherTrunk,
    BodyNamesOtherDial,
    FutureClaim,
    UnknownCall,
    Body,
    BodyOfUnknownCall,
    Foreign,
}

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Enqueue {
        number: usize,
        campaign: usize,
        priority: i16,
        later: Option<Moment>,
        expires: Option<Moment>,
        max_attempts: Option<i32>,
        key: Option<u8>,
    },
    EnqueueAgain {
        call: Pick,
        changed: bool,
    },
    Claim {
        worker: usize,
        wanted: usize,
        only: Option<usize>,
    },
    Result {
        dial: Pick,
        result: DialResult,
    },
    Webhook {
        dial: Pick,
        says: Says,
        naming: Naming,
        /// Reuses the id of the previous event.
        same_id: bool,
    },
    WebhookAgain(Pick),
    AskDue,
    LookUp {
        dial: Pick,
        says: Option<Says>,
        naming: Naming,
    },
    Cancel(Pick),
    Redrive {
        call: Pick,
        force: bool,
    },
    /// Times are relative to now.
    Amend {
        call: Pick,
        change: Change,
    },
    Release(Pick),
    /// A person knows what came of an unexplained dial.
    Resolve {
        call: Pick,
        r#as: Resolution,
    },
    PauseCampaign(usize),
    ResumeCampaign(usize),
    PauseTrunk(usize),
    ResumeTrunk(usize),
    MoveCampaign {
        campaign: usize,
        trunk: usize,
    },
    /// Maximum duration of its calls from now on.
    SetMaxDuration {
        campaign: usize,
        to: Moment,
    },
    Forbid(usize),
    Allow(usize),
    Sweep,
    GiveBack {
        worker: usize,
        holds: usize,
    },
    WorkerDies(usize),
    Forward(Moment),
    /// To the n-th coming moment at which something is due, or just before or after.
    ForwardTo {
        nth: u8,
        off: Moment,
    },
}

/// A dial in words.
pub(crate) fn dial_name((call, dial): (usize, usize)) -> String {
    format!("dial {} of call {}", dial + 1, call + 1)
}

/// The provider's id of this dial, unless it errs.
pub(crate) fn provider_id((call, dial): (usize, usize)) -> String {
    format!("p-{}-{}", call + 1, dial + 1)
}

pub(crate) fn reference(model: &Model, (call, dial): (usize, usize)) -> Reference {
    Reference {
        call: model.calls[call].id,
        claim_no: i64::try_from(dial + 1).unwrap(),
    }
}

/// A call that was never enqueued.
pub(crate) const STRANGER: CallId = CallId(uuid::Uuid::max());

impl fmt::Display for DialResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placed { other_id: false } => f.write_str("placed: result"),
            Self::Placed { other_id: true } => f.write_str("placed under another id: result"),
            Self::Refused(outcome) => write!(f, "refused as {outcome}: result"),
            Self::Full { retry_after_sec } => write!(f, "full ({retry_after_sec:?}): result"),
            Self::NumberLimit => f.write_str("the number's own limit: result"),
            Self::Forbidden => f.write_str("not allowed: result"),
            Self::AccountRefused => f.write_str("account refused: result"),
            Self::Unknown => f.write_str("unknown: result"),
            Self::Late => f.write_str("too late: result"),
            Self::Shutdown => f.write_str("not dialled, shutting down: result"),
        }
    }
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Progress => f.write_str("progress"),
            Self::Answered => f.write_str("somebody answers"),
            Self::Ended(outcome) => write!(f, "ended as {outcome}"),
            Self::Dropped(outcome) => write!(f, "ended as {outcome} after an answer"),
            Self::UnknownWord => f.write_str("an unknown word"),
            Self::Garbage => f.write_str("garbage"),
        }
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "by reference",
            Self::ReferenceWithoutId => "by reference, without the provider's id",
            Self::ProviderId => "by the provider's id alone",
            Self::WithOtherId => "with another provider's id",
            Self::FromOtherTrunk => "from the other trunk",
            Self::BodyNamesOtherDial => "its body names another dial",
            Self::FutureClaim => "by a reference that was never made",
            Self::UnknownCall => "by the reference of an unknown call",
            Self::Body => "by the reference in its body",
            Self::BodyOfUnknownCall => "by the reference of an unknown call in its body",
            Self::Foreign => "by its id alone, and said to be foreign",
        })
    }
}

impl fmt::Display for CallRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "number {} in {}",
            self.number + 1,
            CAMPAIGNS[self.campaign]
        )?;
        let seconds = |moment: Moment| moment / SECOND;
        if self.priority > 0 {
            write!(f, ", priority {}", self.priority)?;
        }
        if let Some(at) = self.run_at {
            write!(f, ", not before second {}", seconds(at))?;
        }
        if let Some(at) = self.expires_at {
            write!(f, ", expires at second {}", seconds(at))?;
        }
        if let Some(most) = self.max_attempts {
            write!(f, ", {most} attempts")?;
        }
        if let Some(key) = self.key {
            write!(f, ", key {key}")?;
        }
        Ok(())
    }
}
