//! The words that metrics count by, from the enums of the verbs.

use strum::VariantNames;

use super::{defer::Deferred, dialed, doubt, enqueue::Enqueued, look_up, settle::Settled, webhook};
use crate::metrics::Verdicts;

pub(crate) const VERDICTS: Verdicts = Verdicts {
    batched: &[
        ("dialed", dialed::Verdict::VARIANTS),
        ("settle", Settled::VARIANTS),
        ("defer", Deferred::VARIANTS),
        ("doubt", doubt::Verdict::VARIANTS),
    ],
    enqueued: Enqueued::VARIANTS,
    look_ups: look_up::Verdict::VARIANTS,
    events: webhook::Verdict::VARIANTS,
};
