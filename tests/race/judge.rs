//! The judge of reports as the race uses it. `lib.rs` compares it with `pgdial.judge`.

use pgdial::domain::CallState;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Progress,
    Answered,
    Completed,
    Capacity,
    Ended,
    Unknown,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Progress,
        Self::Answered,
        Self::Completed,
        Self::Capacity,
        Self::Ended,
        Self::Unknown,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::Answered => "answered",
            Self::Completed => "completed",
            Self::Capacity => "capacity",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
    }
}

/// What a report means for the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Accept,
    Answer,
    Settle,
    PutBack,
    CompleteLate,
    LateAnswer,
    Hold,
    EndHold,
    Noted,
    Stale,
    Mismatch,
}

impl Judgement {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Answer => "answer",
            Self::Settle => "settle",
            Self::PutBack => "put_back",
            Self::CompleteLate => "complete_late",
            Self::LateAnswer => "late_answer",
            Self::Hold => "hold",
            Self::EndHold => "end_hold",
            Self::Noted => "noted",
            Self::Stale => "stale",
            Self::Mismatch => "mismatch",
        }
    }
}

/// What is known about the row and the dial that the report is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// The row failed as unknown.
    pub(crate) unknown: bool,
    /// The call has been answered.
    pub(crate) answered: bool,
    /// The end of the dial was reported.
    pub(crate) over: bool,
}

pub(crate) fn judge(
    state: CallState,
    claim_no: i64,
    known: Known,
    event_claim_no: i64,
    kind: Kind,
) -> Judgement {
    let reached = matches!(kind, Kind::Answered | Kind::Completed);
    if !(1..=claim_no).contains(&event_claim_no) {
        return Judgement::Mismatch;
    }
    let is_present = state.is_in_flight() && event_claim_no == claim_no;
    let is_open = state == CallState::Waiting || (state == CallState::Failed && known.unknown);
    match kind {
        Kind::Unknown => Judgement::Noted,
        Kind::Progress if is_present => Judgement::Accept,
        Kind::Answered if is_present => Judgement::Answer,
        Kind::Capacity if is_present => Judgement::PutBack,
        _ if is_present => Judgement::Settle,
        _ if reached && !known.answered && is_open => Judgement::CompleteLate,
        _ if reached && !known.answered => Judgement::LateAnswer,
        _ if known.over => Judgement::Stale,
        Kind::Progress | Kind::Answered => Judgement::Hold,
        _ => Judgement::EndHold,
    }
}
