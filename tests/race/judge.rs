//! The judge of reports, as the race uses it. `main.rs` compares it with `pgdial.judge`.

use pgdial::domain::CallState;

/// What a report says.
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

/// What it means for the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Accept,
    Answer,
    Settle,
    PutBack,
    CompleteLate,
    LateAnswer,
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
            Self::Noted => "noted",
            Self::Stale => "stale",
            Self::Mismatch => "mismatch",
        }
    }
}

pub(crate) fn judge(
    state: CallState,
    claim_no: i64,
    unknown: bool,
    event_claim_no: i64,
    kind: Kind,
) -> Judgement {
    let reached = matches!(kind, Kind::Answered | Kind::Completed);
    if !(1..=claim_no).contains(&event_claim_no) {
        return Judgement::Mismatch;
    }
    match kind {
        Kind::Unknown => Judgement::Noted,
        _ if state.is_in_flight() && event_claim_no < claim_no && reached => Judgement::LateAnswer,
        _ if state.is_in_flight() && event_claim_no < claim_no => Judgement::Stale,
        Kind::Progress if state.is_in_flight() => Judgement::Accept,
        Kind::Answered if state.is_in_flight() => Judgement::Answer,
        Kind::Capacity if state.is_in_flight() => Judgement::PutBack,
        _ if state.is_in_flight() => Judgement::Settle,
        _ if reached && state == CallState::Waiting => Judgement::CompleteLate,
        _ if reached && state == CallState::Failed && unknown => Judgement::CompleteLate,
        _ => Judgement::Stale,
    }
}
