//! How campaigns and trunks stand: whether one may dial, and everything that keeps it. Every screen shows what is judged
//! here, from the reasons of `pgdial.why_groups` and `pgdial.why`.

use maud::{Markup, html};

use super::{
    frame::Frame,
    parts::{Tone, badge, count, text, words},
};
use crate::{
    domain::Scope,
    flow::{groups::GroupKind, read::Reason, seat::Dialling},
};

/// What a reason says, as far as an operator is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Something is to be done about it.
    Held,
    /// Calls in doubt hold slots: somebody may know what came of them.
    Doubt,
    /// It passes by itself, as somebody wanted it.
    Closed,
    /// It is about one call; others of the campaign may be dialled.
    Own,
    /// As much is dialled as may be.
    Full,
    /// Nothing keeps it.
    Open,
}

impl Weight {
    pub(super) fn of(reason: &str) -> Self {
        match reason {
            "next" | "in_line" | "in_turn" => Self::Open,
            "in_doubt" => Self::Doubt,
            "trunk_full" | "campaign_full" | "pacing" | "no_permit" | "on_trial" => Self::Full,
            "outside_hours"
            | "holiday"
            | "campaign_not_started"
            | "campaign_over"
            | "scheduled"
            | "retry_due" => Self::Closed,
            "number_taken" | "twin" | "locked" | "cooldown" | "contact_limit" | "held_back"
            | "suspect" | "unclaimable" | "suppressed" | "expired" => Self::Own,
            _ => Self::Held,
        }
    }

    /// Of the gravest of these reasons.
    pub(super) fn gravest(reasons: &[Reason]) -> Self {
        let weights = reasons.iter().map(|one| Self::of(&one.reason));
        weights.min().unwrap_or(Self::Open)
    }
}

/// Whether it says no more than that no waiting call is due yet.
pub(super) fn is_later(reason: &Reason) -> bool {
    ["scheduled", "retry_due"].contains(&&*reason.reason)
}

/// A reason as a badge.
pub(super) fn reason(reason: &str) -> Markup {
    let tone = match Weight::of(reason) {
        Weight::Open => return badge(Tone::Good, "dialling"),
        Weight::Full | Weight::Own | Weight::Closed => Tone::Calm,
        Weight::Held
            if ["breaker", "cluster_changed", "no_worker", "gate_held"].contains(&reason) =>
        {
            Tone::Bad
        }
        Weight::Held | Weight::Doubt => Tone::Warn,
    };
    badge(tone, &words(reason))
}

/// A campaign or a trunk with what keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    reasons: &'a [Reason],
    /// What it is while nothing keeps it.
    free: (Tone, &'a str),
}

impl<'a> Standing<'a> {
    /// With the word for what it is while nothing keeps it.
    pub(super) const fn of(reasons: &'a [Reason], tone: Tone, free: &'a str) -> Self {
        Self {
            reasons,
            free: (tone, free),
        }
    }

    /// A trunk.
    pub(super) const fn trunk(reasons: &'a [Reason]) -> Self {
        Self::of(reasons, Tone::Good, "open")
    }

    /// Whether nothing of it may be dialled, other than because as much is dialled as may be.
    pub(super) fn is_held(&self) -> bool {
        is_held(self.reasons)
    }

    /// Every reason as a badge.
    pub(super) fn badges(&self) -> Markup {
        html! {
            @if self.reasons.is_empty() { (badge(self.free.0, self.free.1)) }
            @for (at, one) in self.reasons.iter().enumerate() { @if at > 0 { " " } (reason(&one.reason)) }
        }
    }

    /// The same, with what is to be known of those about which something can be done.
    pub(super) fn short(&self, frame: &Frame, dialling: &Dialling) -> Markup {
        html! {
            (self.badges())
            @for one in self.reasons.iter().filter(|one| Weight::of(&one.reason) <= Weight::Closed) {
                div.soft { (sentence(frame, one, dialling)) }
            }
        }
    }

    /// Every reason as a badge and a sentence.
    pub(super) fn shown(&self, frame: &Frame, dialling: &Dialling) -> Markup {
        html! {
            @if self.reasons.is_empty() { p { (self.badges()) " Nothing keeps it from dialling." } }
            @for one in self.reasons { p { (reason(&one.reason)) " " (sentence(frame, one, dialling)) } }
        }
    }
}

/// Whether these reasons leave nothing to be dialled, other than because as much is dialled as may be.
pub(super) fn is_held(reasons: &[Reason]) -> bool {
    let has = |weight| reasons.iter().any(|one| Weight::of(&one.reason) == weight);
    has(Weight::Held)
        || has(Weight::Closed)
        || has(Weight::Doubt) && reasons.iter().any(|one| one.reason == "trunk_full")
}

/// What a reason says. Of calls in doubt the database names commands; here the screens that do the same.
pub(super) fn sentence(frame: &Frame, reason: &Reason, dialling: &Dialling) -> Markup {
    let doubts = (reason.reason == "in_doubt").then(|| {
        dialling
            .doubts
            .iter()
            .find(|doubts| Some(&doubts.trunk) == reason.object.as_ref())
    });
    let Some(doubts) = doubts.flatten() else {
        return text(&frame.see_text(&reason.message));
    };
    let of = format!("state=unresolved&trunk={}", doubts.trunk);
    html! {
        (count(doubts.in_doubt)) " of " (count(doubts.slots)) " slots of trunk " (text(&doubts.trunk))
        " hold calls in doubt: nobody knows whether they ring. "
        a href=(frame.to(&format!("calls?{of}"))) { "Show them" }
        @if frame.may(Scope::Operate) {
            " · " a href=(frame.to(&format!("calls/resolve?{of}"))) { "Resolve them all" }
            " · " a href=(frame.to(&format!("trunks/{}/set", doubts.trunk))) { "Say what its provider promises" }
        }
    }
}

/// What holds, over all trunks and campaigns: those about which something can be done, each once. What keeps a trunk
/// keeps all its campaigns. A campaign between its retries is held by nothing.
pub(super) fn held(dialling: &Dialling) -> Vec<(GroupKind, &str, &Reason)> {
    let mut held: Vec<(GroupKind, &str, &Reason)> = Vec::new();
    // Trunks come first.
    for group in &dialling.groups {
        for reason in &group.reasons {
            let is_told = held
                .iter()
                .any(|(_, _, told)| told.message == reason.message);
            let weight = Weight::of(&reason.reason);
            if weight <= Weight::Own && !is_later(reason) && !is_told {
                held.push((group.kind, &group.name, reason));
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<Reason> {
        let one = |code: &&str| Reason {
            reason: (*code).to_owned(),
            message: String::new(),
            object: None,
            until: None,
        };
        codes.iter().map(one).collect()
    }

    #[test]
    fn it_is_held_by_what_does_not_end_with_a_call() {
        for (codes, held) in [
            (&[][..], false),
            (&["trunk_full"], false),
            (&["in_doubt"], false),
            (&["in_doubt", "trunk_full"], true),
            (&["trunk_full", "no_worker"], true),
            (&["outside_hours"], true),
            (&["a_reason_of_tomorrow"], true),
        ] {
            assert_eq!(is_held(&reasons(codes)), held, "{codes:?}");
        }
    }

    #[test]
    fn what_holds_is_about_more_than_a_moment() {
        let dialling = Dialling {
            now: chrono::DateTime::UNIX_EPOCH,
            workers: 1,
            due_campaigns: 0,
            next_due_at: None,
            first: Vec::new(),
            groups: vec![crate::flow::seat::KeptGroup {
                kind: GroupKind::Campaign,
                name: "spring".to_owned(),
                reasons: reasons(&["retry_due", "suspect", "campaign_full", "scheduled"]),
            }],
            doubts: Vec::new(),
        };
        let held: Vec<&str> = held(&dialling)
            .iter()
            .map(|(_, _, one)| one.reason.as_str())
            .collect();
        assert_eq!(held, ["suspect"]);
    }

    #[test]
    fn the_gravest_reason_counts_wherever_it_stands() {
        let all = ["suspect", "in_doubt", "trunk_full"];
        assert_eq!(Weight::gravest(&reasons(&all)), Weight::Doubt);
        assert_eq!(Weight::gravest(&[]), Weight::Open);
    }
}
