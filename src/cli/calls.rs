//! `calls`: look at calls and change their course.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty, text},
    values::CallName,
};
use crate::{
    domain::{CallId, CallState},
    flow::{
        self, Queue, amend::Amended, cancel::Canceled, redrive::Redriven, resolve::Resolved,
        view::CallSummary,
    },
};

// Arguments; their doc comments are the help.
mod args;

mod many;

mod evidence;
mod export;
mod find;
mod show;
mod tail;

pub use args::{
    AmendArgs, AmendChanges, CallsCommand, CancelArgs, ExportArgs, FilterArgs, FindArgs, ListArgs,
    ManyArgs, RecheckArgs, RedriveArgs, ResolveArgs, TailArgs,
};

/// Runs one `calls` command.
pub async fn run(
    command: &CallsCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        CallsCommand::List(args) => list(args, calls, out).await,
        CallsCommand::Show { what, region } => {
            let id = find::one(what, *region, calls, out).await?;
            let call = calls.show(id).await?.ok_or_else(|| no_such_call(id))?;
            show::show(&call, out)
        }
        CallsCommand::Find(args) => find::run(args, calls, out).await,
        CallsCommand::Evidence { id } => {
            let id = id.id(calls).await?;
            let evidence = calls.evidence(id).await?;
            evidence::show(&evidence.ok_or_else(|| no_such_call(id))?, out)
        }
        CallsCommand::Why { id } => why(id.id(calls).await?, calls, out).await,
        CallsCommand::Cancel(args) => cancel(args, calls, by, out).await,
        CallsCommand::Redrive(args) => redrive(args, calls, by, out).await,
        CallsCommand::Resolve(args) => resolve(args, calls, by, out).await,
        CallsCommand::Recheck(args) => {
            many::is_filter(false, &args.many)?;
            let why = args.why.as_deref();
            many::run(many::Verb::Recheck, &args.many, why, (calls, by), out).await
        }
        CallsCommand::Tail(args) => tail::run(args, calls, out).await,
        CallsCommand::Amend(args) => amend(args, calls, by, out).await,
        CallsCommand::Export(args) => export::run(args, calls, out).await,
    }
}

pub(super) fn no_such_call(id: impl Display) -> Failure {
    Failure::failed(format!("there is no call {id}"))
        .hint("`pgdial calls list` shows the newest; finished ones go after PGDIAL_KEEP_FINISHED")
}

async fn list(args: &ListArgs, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let filter = args.filter.given();
    if let Some(number) = &args.filter.to {
        number.dialled_in(args.filter.region)?;
    }
    let mut below = match &args.below {
        Some(call) => Some(call.id(calls).await?),
        None => None,
    };
    let mut page: Vec<CallSummary> = Vec::new();
    // Where few calls match, a page may be short and yet not the last.
    loop {
        let left = args.limit - i32::try_from(page.len()).unwrap_or(args.limit);
        let listed = calls.list(&filter, below, left).await?;
        page.extend(listed.calls);
        below = listed.below;
        if below.is_none() || i32::try_from(page.len()).is_ok_and(|count| count >= args.limit) {
            break;
        }
    }
    table(&page, out)?;
    if let Some(last) = page.last().filter(|_| below.is_some()) {
        out.note(format!("more: add --below {}", last.id));
    }
    Ok(Exit::Ok)
}

/// Calls as a table, or as JSON.
fn table(page: &[CallSummary], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&page);
    }
    let rows = page.iter().map(|call| {
        vec![
            call.id.to_string(),
            out.phone(&call.to),
            call.state.as_str().to_owned(),
            format!("{}/{}", call.attempt, call.max_attempts),
            or_empty(call.outcome),
            call.campaign.clone(),
            instant(call.run_at),
        ]
    });
    let rows = rows.collect();
    out.table(
        &[
            "call", "to", "state", "attempt", "outcome", "campaign", "run at",
        ],
        rows,
    )
}

async fn why(id: CallId, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let reasons = calls.why(id).await?;
    if reasons.is_empty() {
        return Err(no_such_call(id));
    }
    if out.style.json {
        out.json(&reasons)?;
        return Ok(Exit::Ok);
    }
    let rows = reasons.into_iter().map(|reason| {
        let until = or_empty(reason.until.map(instant));
        vec![reason.reason, text(&reason.message.into()), until]
    });
    let rows = rows.collect();
    out.table(&["reason", "because", "until"], rows)?;
    Ok(Exit::Ok)
}

/// The verdict on one of several calls.
#[derive(Debug, Serialize)]
struct Done {
    id: CallId,
    verdict: Value,
    detail: String,
    #[serde(skip)]
    refused: bool,
}

impl Done {
    /// Turns a refusal about this one call (its row is locked, or cannot be written) into a verdict, so that the
    /// other calls are still done. Any other error ends the command.
    fn of<V: Serialize>(
        id: CallId,
        answer: Result<V, flow::Error>,
        words: impl FnOnce(&V) -> (String, bool),
    ) -> Result<Self, Failure> {
        match answer {
            Ok(verdict) => {
                let (detail, refused) = words(&verdict);
                Ok(Self {
                    id,
                    verdict: json!(verdict),
                    detail,
                    refused,
                })
            }
            Err(error @ flow::Error::LockedOut) => Ok(Self::refused(id, "locked_out", &error)),
            Err(error @ flow::Error::Refused { .. }) => Ok(Self::refused(id, "refused", &error)),
            Err(error) => Err(error.into()),
        }
    }

    fn refused(id: CallId, verdict: &str, error: &flow::Error) -> Self {
        Self {
            id,
            verdict: json!(verdict),
            detail: error.to_string(),
            refused: true,
        }
    }
}

async fn cancel(
    args: &CancelArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    if many::is_filter(!args.ids.is_empty(), &args.many)? {
        let why = args.why.as_deref();
        return many::run(many::Verb::Cancel, &args.many, why, (calls, by), out).await;
    }
    let mut done = Vec::with_capacity(args.ids.len());
    for id in &CallName::ids(&args.ids, calls).await? {
        let answer = calls.cancel(*id, by, args.why.as_deref()).await;
        done.push(Done::of(*id, answer, |verdict| match verdict {
            Canceled::Canceled => ("it will not ring".to_owned(), false),
            Canceled::Requested => {
                let words =
                    "it is in flight: the provider is asked to end it, if it can; `pgdial calls why` says";
                (words.to_owned(), false)
            }
            Canceled::AlreadyOver => ("it was over already".to_owned(), true),
            Canceled::NotFound => ("there is no such call".to_owned(), true),
        })?);
    }
    report(&done, out)
}

async fn redrive(
    args: &RedriveArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    if many::is_filter(!args.ids.is_empty(), &args.many)? {
        let (why, force) = (args.why.as_deref(), args.force);
        return many::run(
            many::Verb::Redrive { force },
            &args.many,
            why,
            (calls, by),
            out,
        )
        .await;
    }
    let mut done = Vec::with_capacity(args.ids.len());
    for id in &CallName::ids(&args.ids, calls).await? {
        let answer = calls
            .redrive(*id, by, args.why.as_deref(), args.force)
            .await;
        let held_until = answer.as_ref().ok().and_then(|(_, until)| *until);
        let answer = answer.map(|(verdict, _)| verdict);
        done.push(Done::of(*id, answer, |verdict| match verdict {
            Redriven::Waiting => ("it waits for its turn".to_owned(), false),
            Redriven::NotOver => ("it is not over yet".to_owned(), true),
            Redriven::NeedsForce => {
                ("somebody has already spoken to us: add --force to call again".to_owned(), true)
            }
            Redriven::Held => {
                let until = or_empty(held_until.map(instant));
                let words = format!(
                    "nobody knows whether it still rings: wait until {until}, or `pgdial release {id} --why ...`"
                );
                (words, true)
            }
            Redriven::Suppressed => ("its number is on the do-not-call list".to_owned(), true),
            Redriven::NoConsent => {
                let words = "its campaign requires consent, and it has none, or one that has expired";
                (words.to_owned(), true)
            }
            Redriven::Forgotten => ("its number was forgotten".to_owned(), true),
            Redriven::UnknownCampaign => ("its campaign is gone or archived: create it, or unarchive it".to_owned(), true),
            Redriven::CampaignOver => ("its campaign has ended: set a later end first".to_owned(), true),
            Redriven::NotFound => ("there is no such call".to_owned(), true),
        })?);
    }
    report(&done, out)
}

async fn resolve(
    args: &ResolveArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let (why, r#as) = (args.why.as_deref(), args.resolution);
    if many::is_filter(!args.ids.is_empty(), &args.many)? {
        let verb = many::Verb::Resolve { r#as };
        return many::run(verb, &args.many, why, (calls, by), out).await;
    }
    let why = why.ok_or_else(|| {
        Failure::usage("--why is missing: it is kept with the call").hint("how do you know?")
    })?;
    let mut done = Vec::with_capacity(args.ids.len());
    for id in &CallName::ids(&args.ids, calls).await? {
        let answer = calls.resolve(*id, r#as, args.claim_no, by, why).await;
        let state = answer.as_ref().ok().and_then(|(_, state)| *state);
        let state = state.map_or("gone", CallState::as_str);
        let answer = answer.map(|(verdict, _)| verdict);
        done.push(Done::of(*id, answer, |verdict| match verdict {
            Resolved::Resolved => (format!("it is {state} now"), false),
            Resolved::NotInDoubt => {
                let words = format!("it is {state}, and there is no doubt about it to end");
                (words, true)
            }
            Resolved::Answered => {
                let words =
                    "somebody spoke to us, so it was placed: say with which outcome it ended";
                (words.to_owned(), true)
            }
            Resolved::UnderWay => {
                let words = "its request was sent again within the last minute, and that may ring";
                (words.to_owned(), true)
            }
            Resolved::Stale => {
                let words = "it has been claimed again since the dial that --claim-no names";
                (words.to_owned(), true)
            }
            Resolved::NotFound => ("there is no such call".to_owned(), true),
        })?);
    }
    report(&done, out)
}

fn report(done: &[Done], out: &mut Out) -> Result<Exit, Failure> {
    if out.style.json {
        out.json(&done)?;
    } else {
        let row = |one: &Done| vec![one.id.to_string(), text(&one.verdict), one.detail.clone()];
        out.table(
            &["call", "verdict", "detail"],
            done.iter().map(row).collect(),
        )?;
    }
    let refused = done.iter().any(|one| one.refused);
    Ok(if refused { Exit::Failed } else { Exit::Ok })
}

async fn amend(args: &AmendArgs, calls: &Queue, by: &str, out: &mut Out) -> Result<Exit, Failure> {
    let id = args.id.id(calls).await?;
    let amended = calls
        .amend_if(id, by, args.why.as_deref(), &args.changes.given(), None)
        .await?;
    let word = match &amended {
        Amended::Amended => "amended",
        Amended::Changed => "changed",
        Amended::NotWaiting => "not_waiting",
        Amended::Invalid(_) => "invalid",
        Amended::NotFound => "not_found",
    };
    if out.style.json {
        let detail = match &amended {
            Amended::Invalid(problem) => Some(problem),
            _ => None,
        };
        out.json(&json!({ "id": id, "verdict": word, "detail": detail }))?;
    }
    match amended {
        Amended::Amended => {
            out.note("amended");
            Ok(Exit::Ok)
        }
        Amended::Changed => Err(Failure::failed("the call was changed meanwhile")),
        Amended::NotWaiting => Err(Failure::failed(
            "the call no longer waits: it cannot be changed",
        )
        .hint(format!("`pgdial calls show {id}` says how it stands"))),
        Amended::Invalid(problem) => Err(Failure::failed(format!("not amended: {problem}"))),
        Amended::NotFound => Err(no_such_call(id)),
    }
}
