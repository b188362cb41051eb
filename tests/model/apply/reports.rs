//! Reports of providers, run on both sides.

use pgdial::{
    domain::{Outcome, Reference, Report, ReportKind},
    flow::webhook::Event,
    provider::LookedUp,
};
use serde_json::json;

use super::{Machine, Step, text};
use crate::{
    model::{Delivery, TRUNKS},
    operations::{Naming, STRANGER, Says, dial_name, provider_id, reference},
};

impl Machine<'_> {
    pub(super) async fn report(
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
        let in_body = match naming {
            Naming::BodyNamesOtherDial => Some(future),
            Naming::Body => Some(own),
            Naming::BodyOfUnknownCall => Some(stranger),
            _ => None,
        };
        Delivery {
            trunk: if naming == Naming::FromOtherTrunk {
                1 - trunk
            } else {
                trunk
            },
            reference: match naming {
                Naming::ProviderId | Naming::Body | Naming::BodyOfUnknownCall | Naming::Foreign => {
                    None
                }
                Naming::FutureClaim => Some(future),
                Naming::UnknownCall => Some(stranger),
                _ => Some(own),
            },
            event_id: format!("e{}", self.model.kept.len() + 1),
            report: said(says, dial, naming, in_body),
        }
    }

    pub(super) async fn webhook(&mut self, delivery: Delivery) -> Step {
        let body = format!("{:?}", delivery.report);
        let event = Event {
            trunk: TRUNKS[delivery.trunk],
            reference: delivery.reference,
            event_id: &delivery.event_id,
            signed_at: None,
            body: body.as_bytes(),
            report: &delivery.report,
        };
        let answer = self.db.calls.webhook(event).await.map_err(text)?;
        let expected = self.model.webhook(delivery);
        let words = self.story.pop().unwrap_or_default();
        self.answered(words, &answer, &expected)
    }

    pub(super) async fn look_up(
        &mut self,
        dial: (usize, usize),
        says: Option<Says>,
        naming: Naming,
    ) -> Step {
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
}

/// The provider's id of this dial, or a different one.
pub(super) fn said_id(dial: (usize, usize), other: bool) -> String {
    let id = provider_id(dial);
    if other { format!("other-{id}") } else { id }
}

/// The body as the trunk's adapter reads it, with this reference.
fn said(says: Says, dial: (usize, usize), naming: Naming, named: Option<Reference>) -> Report {
    let (kind, outcome): (ReportKind, Option<Outcome>) = match says {
        Says::Progress => (ReportKind::Progress, None),
        Says::Answered => (ReportKind::Answered, None),
        Says::Ended(outcome) | Says::Dropped(outcome) => (ReportKind::Ended, Some(outcome)),
        Says::UnknownWord => (ReportKind::Unknown, None),
        Says::Garbage => (ReportKind::Unparsable, None),
    };
    let names_itself = naming != Naming::ReferenceWithoutId;
    Report {
        disposition: None,
        callback_at: None,
        kind,
        outcome,
        answered: matches!(says, Says::Answered | Says::Dropped(_)),
        answered_at: None,
        provider_call_id: names_itself.then(|| said_id(dial, naming == Naming::WithOtherId)),
        reference: named.map(|dial| dial.to_string()),
        foreign: naming == Naming::Foreign,
        event_id: None,
        status: Some(says.to_string()),
        result: json!({}),
    }
}
