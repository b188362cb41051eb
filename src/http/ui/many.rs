//! Acts on all calls that a filter selects. The filter is in the address, so what was previewed is what is done.

use std::{collections::BTreeMap, time::Duration};

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{
    super::problem::{Code, Problem},
    asking::{Asking, done, needed_why},
    call::acts::{resolution, resolution_field},
    calls::Chosen,
    form::Form,
    frame::{Frame, Query},
    parts::{count, table, words},
    twins::{Twins, WHAT},
};
use crate::{
    domain::{CallState, Outcome, Resolution, Why},
    flow::{
        listing::CallFilter,
        matching::{Batch, BatchResponse},
    },
    provider::Stopwatch,
};

/// Calls in one transaction.
const BATCH: i32 = 1000;
/// Calls that a preview counts at most.
const COUNTED: i32 = 2000;
/// Of these, the newest that it judges: each takes almost as long as the act itself.
const JUDGED: usize = 500;
/// How long batches follow each other before the page answers.
const LONGEST: Duration = Duration::from_secs(8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Cancel,
    Redrive,
    Resolve,
}

impl Act {
    const fn path(self) -> &'static str {
        match self {
            Self::Cancel => "calls/cancel",
            Self::Redrive => "calls/redrive",
            Self::Resolve => "calls/resolve",
        }
    }

    /// The states of calls that it can be done with.
    fn states(self) -> Vec<CallState> {
        let flying = [CallState::Dialing, CallState::Unresolved, CallState::InCall];
        match self {
            Self::Cancel => [&flying[..], &[CallState::Waiting]].concat(),
            Self::Redrive => {
                let live = Self::Cancel.states();
                let all = CallState::ALL.into_iter();
                all.filter(|state| !live.contains(state)).collect()
            }
            // The only ones that it takes unless the filter names others.
            Self::Resolve => vec![CallState::Unresolved],
        }
    }

    /// The verdicts that mean it was done.
    const fn successes(self) -> &'static [&'static str] {
        match self {
            Self::Cancel => &["canceled", "requested"],
            Self::Redrive => &["waiting"],
            Self::Resolve => &["resolved"],
        }
    }
}

/// The paths and names of the acts that calls of this filter may be open to.
pub(super) fn offered(filter: &CallFilter) -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = [
        (Act::Cancel, "Cancel all"),
        (Act::Redrive, "Ring all again"),
        (Act::Resolve, "Resolve all"),
    ];
    let chosen = filter.state.clone();
    let is_unknown = is_unknown(filter);
    all.into_iter().filter_map(move |(act, name)| {
        let states = act.states();
        let is_open = match &chosen {
            _ if act == Act::Resolve && is_unknown => true,
            Some(chosen) => chosen.iter().any(|state| states.contains(state)),
            // Without a state it would select completed calls, which are only rung again by force.
            None => act != Act::Redrive,
        };
        is_open.then_some((act.path(), name))
    })
}

/// Whether it selects calls that were given up without anybody knowing what came of them, which can still be resolved.
fn is_unknown(filter: &CallFilter) -> bool {
    let has_failed = filter
        .state
        .as_ref()
        .is_none_or(|states| states.contains(&CallState::Failed));
    let outcomes = filter.outcome.as_ref();
    has_failed && outcomes.is_some_and(|outcomes| outcomes.contains(&Outcome::Unknown))
}

/// What batches came to, or would.
#[derive(Debug, Default)]
struct Sum {
    verdicts: BTreeMap<String, i64>,
    /// There may be more calls than were visited.
    has_more: bool,
    /// Of a preview: how many calls the filter selects, and whether that is all.
    selected: (i64, bool),
}

impl Sum {
    fn done(&self, act: Act) -> i64 {
        let done = act.successes().iter();
        done.filter_map(|verdict| self.verdicts.get(*verdict)).sum()
    }

    /// Whether the act would do anything, or might.
    fn leaves_a_choice(&self, act: Act) -> bool {
        let with_force = act == Act::Redrive && self.verdicts.contains_key("needs_force");
        self.has_more || with_force || self.done(act) > 0
    }

    fn shown(&self, act: Act) -> Markup {
        let rows: Vec<_> = self
            .verdicts
            .iter()
            .map(|(verdict, calls)| {
                let is_done = act.successes().contains(&verdict.as_str());
                vec![
                    html! { (said(act, verdict)) },
                    html! { @if is_done { strong { (count(*calls)) } } @else { (count(*calls)) } },
                ]
            })
            .collect();
        html! {
            (table("What it would come to", &["It would come to", "Calls"], &rows, "The filter selects no call that this can be done with."))
            @if self.has_more {
                @let (selected, is_all) = self.selected;
                p { "These are the first. The filter selects " strong { @if !is_all { "at least " } (count(selected)) " calls" } ", and the act takes them all." }
            } @else if !self.leaves_a_choice(act) {
                p { "So there is nothing to do." }
            }
        }
    }
}

/// A verdict in words.
fn said(act: Act, verdict: &str) -> String {
    match (act, verdict) {
        (Act::Cancel, "canceled") => "canceled: they will not ring".to_owned(),
        (Act::Cancel, "requested") => "in flight: the provider is asked to end them".to_owned(),
        (Act::Redrive, "waiting") => "wait again".to_owned(),
        (Act::Redrive, "needs_force") => "left alone: somebody has answered them".to_owned(),
        (_, "held") => "left alone: their number is held, for they may still ring".to_owned(),
        (_, "suppressed") => "left alone: on the do-not-call list".to_owned(),
        (_, "no_consent") => {
            "left alone: without the consent that their campaign requires".to_owned()
        }
        (_, "locked_out") => "left alone: somebody's open transaction holds them".to_owned(),
        (_, other) => words(other),
    }
}

/// `GET /ui/calls/cancel`
pub(in crate::http) async fn ask_cancel(frame: Frame, query: Query) -> Result<Response, Problem> {
    ask(&frame, &query, Act::Cancel, &Form::default(), None).await
}

/// `POST /ui/calls/cancel`
pub(in crate::http) async fn cancel(
    frame: Frame,
    query: Query,
    form: Form,
) -> Result<Response, Problem> {
    act(&frame, &query, Act::Cancel, &form).await
}

/// `GET /ui/calls/redrive`
pub(in crate::http) async fn ask_redrive(frame: Frame, query: Query) -> Result<Response, Problem> {
    ask(&frame, &query, Act::Redrive, &Form::default(), None).await
}

/// `POST /ui/calls/redrive`
pub(in crate::http) async fn redrive(
    frame: Frame,
    query: Query,
    form: Form,
) -> Result<Response, Problem> {
    act(&frame, &query, Act::Redrive, &form).await
}

/// `GET /ui/calls/resolve`
pub(in crate::http) async fn ask_resolve(frame: Frame, query: Query) -> Result<Response, Problem> {
    ask(&frame, &query, Act::Resolve, &Form::default(), None).await
}

/// `POST /ui/calls/resolve`
pub(in crate::http) async fn resolve(
    frame: Frame,
    query: Query,
    form: Form,
) -> Result<Response, Problem> {
    act(&frame, &query, Act::Resolve, &form).await
}

async fn ask(
    frame: &Frame,
    query: &Query,
    act: Act,
    form: &Form,
    refusal: Option<&Problem>,
) -> Result<Response, Problem> {
    let chosen = chosen(frame, query)?;
    let previewed = previewed(frame, &chosen, act, form).await?;
    let asking = asking(frame, &chosen, act, form, &previewed);
    Ok(match refusal {
        Some(problem) => asking.again(frame, problem, form),
        None => asking.page(frame),
    })
}

async fn act(frame: &Frame, query: &Query, act: Act, form: &Form) -> Result<Response, Problem> {
    let chosen = chosen(frame, query)?;
    let checked = match act {
        Act::Resolve => resolution(form).map(drop),
        Act::Cancel | Act::Redrive => Ok(()),
    };
    let why = match checked.and_then(|()| needed_why(form)) {
        Ok(why) => why,
        Err(problem) => return ask(frame, query, act, form, Some(&problem)).await,
    };
    let sum = run(frame, &chosen, act, form, &why).await?;
    let word = match act {
        Act::Cancel => "canceled",
        Act::Redrive => "redriven",
        Act::Resolve => "resolved",
    };
    // What is left is asked about again.
    let path = if sum.has_more { act.path() } else { "calls" };
    Ok(done(
        frame,
        &chosen.at(path, &[]),
        word,
        Some(sum.done(act)),
    ))
}

/// The filter. An empty one is more often a mistake than intended.
fn chosen(frame: &Frame, query: &Query) -> Result<Chosen, Problem> {
    let chosen = Chosen::read(frame, query)?;
    if chosen.is_empty() {
        let words =
            "an empty filter means every call: choose a state, a campaign or another part first";
        return Err(Problem::new(Code::InvalidQuery, words));
    }
    Ok(chosen)
}

/// What the act would come to: judged by the newest calls, without visiting all.
async fn previewed(frame: &Frame, chosen: &Chosen, act: Act, form: &Form) -> Result<Sum, Problem> {
    let mut filter = chosen.filter.clone();
    let is_given_up = act == Act::Resolve && is_unknown(&filter);
    filter.state.get_or_insert_with(|| {
        if is_given_up {
            vec![CallState::Failed]
        } else {
            act.states()
        }
    });
    let queue = &frame.app.calls;
    let (mut ids, is_all) = queue.newest(&filter, COUNTED).await?;
    let mut sum = Sum {
        selected: (ids.len().try_into().unwrap_or(i64::MAX), is_all),
        has_more: !is_all || ids.len() > JUDGED,
        ..Sum::default()
    };
    ids.truncate(JUDGED);
    if !ids.is_empty() {
        filter.ids = Some(ids);
        let filter = json!(filter);
        let by = frame.owner.by();
        let batch = Batch {
            filter: &filter,
            limit: BATCH,
            dry_run: true,
            cursor: None,
            by: &by,
            why: "preview",
        };
        sum.verdicts = one_batch(frame, act, form, &batch).await?.verdicts;
    }
    Ok(sum)
}

/// Batch after batch.
async fn run(
    frame: &Frame,
    chosen: &Chosen,
    act: Act,
    form: &Form,
    why: &Why,
) -> Result<Sum, Problem> {
    let filter = json!(chosen.filter);
    let by = frame.owner.by();
    let clock = Stopwatch::start();
    let (mut sum, mut cursor) = (Sum::default(), None::<String>);
    loop {
        let batch = Batch {
            filter: &filter,
            limit: BATCH,
            dry_run: false,
            cursor: cursor.as_deref(),
            by: &by,
            why,
        };
        let batched = one_batch(frame, act, form, &batch).await?;
        for (verdict, calls) in batched.verdicts {
            *sum.verdicts.entry(verdict).or_default() += calls;
        }
        cursor = batched.cursor;
        if cursor.is_none() || clock.elapsed() > LONGEST {
            sum.has_more = cursor.is_some();
            return Ok(sum);
        }
    }
}

async fn one_batch(
    frame: &Frame,
    act: Act,
    form: &Form,
    batch: &Batch<'_>,
) -> Result<BatchResponse, Problem> {
    let queue = &frame.app.calls;
    let batched = match act {
        Act::Cancel => queue.cancel_matching(batch).await,
        Act::Redrive => queue.redrive_matching(batch, form.has("force")).await,
        Act::Resolve => {
            let r#as = resolution(form).unwrap_or(Resolution::NotPlaced);
            queue.resolve_matching(batch, r#as).await
        }
    };
    Ok(batched?)
}

fn asking(
    frame: &Frame,
    chosen: &Chosen,
    act: Act,
    form: &Form,
    previewed: &Sum,
) -> Asking<'static> {
    let (command, verb, title, button) = match act {
        Act::Cancel => (
            "calls cancel",
            "cancel_matching",
            "Cancel calls",
            "Cancel them",
        ),
        Act::Redrive => (
            "calls redrive",
            "redrive_matching",
            "Ring calls again",
            "Ring them again",
        ),
        Act::Resolve => (
            "calls resolve",
            "resolve_matching",
            "Resolve doubts",
            "Resolve them",
        ),
    };
    let filter = json!(chosen.filter);
    let mut twins = Twins::of(command, verb);
    if let Value::Object(fields) = &filter {
        for (name, value) in fields {
            twins = twins.option(name, value);
        }
    }
    twins = twins.only_sql("p_filter", &filter);
    let fields = match act {
        Act::Cancel => html! {},
        Act::Redrive => {
            if form.has("force") {
                twins = twins
                    .only_command(&["--force"])
                    .only_sql("p_force", &true.into());
            }
            html! {
                p.field {
                    label { input type="checkbox" name="force" checked[form.has("force")]; " Also those that somebody has answered: they are rung again" }
                }
            }
        }
        Act::Resolve => {
            let r#as = form.get("as").unwrap_or(WHAT);
            twins = twins.with("--as", "p_as", &r#as.into());
            resolution_field(form)
        }
    };
    Asking {
        title: title.to_owned(),
        touches: html! {
            p { "Calls with " (chosen.shown(frame)) }
            (previewed.shown(act))
        },
        fields,
        twins: twins.only_command(&["--all"]).why(form.get("why")),
        button: previewed.leaves_a_choice(act).then_some(button),
        is_final: act == Act::Cancel,
        back: chosen.at("calls", &[]),
    }
}
