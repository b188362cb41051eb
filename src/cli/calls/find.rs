//! `calls find`, and the call that `calls show` is about.

use super::{args::FindArgs, no_such_call, table};
use crate::{
    cli::{Exit, Failure, Out, values},
    domain::{CallId, Region},
    flow::{
        Queue,
        listing::{Find, Named},
    },
};

/// Calls listed where one was wanted.
const MOST: i32 = 20;

pub(super) async fn run(args: &FindArgs, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let region = args.region.map(|region| region.to_string());
    let wanted = Find {
        text: &args.what,
        campaign: args.campaign.as_deref(),
        region: region.as_deref(),
    };
    let found = calls.find(&wanted, args.limit).await?;
    table(&found, out)?;
    if found.is_empty() {
        out.note("no call is named so");
    }
    Ok(Exit::Ok)
}

/// The one call that a text names.
pub(super) async fn one(
    text: &str,
    region: Option<Region>,
    calls: &Queue,
    out: &mut Out,
) -> Result<CallId, Failure> {
    if values::call_name(text).is_ok()
        && let Named::One(id) = calls.named(text).await?
    {
        return Ok(id);
    }
    let region = region.map(|region| region.to_string());
    let wanted = Find {
        text,
        campaign: None,
        region: region.as_deref(),
    };
    let found = calls.find(&wanted, MOST).await?;
    match found.as_slice() {
        [] => Err(no_such_call(text)),
        [only] => Ok(only.id),
        several => {
            if !out.style.json {
                table(several, out)?;
            }
            Err(
                Failure::failed(format!("{} calls are named so", several.len()))
                    .hint("give the id of one of them, or its beginning"),
            )
        }
    }
}
