//! `release`: a person declares an unexplained dial over, which frees its number.

use serde_json::json;

use super::{Exit, Failure, Out, values::CallName};
use crate::{
    domain::Why,
    flow::{Queue, release::Released},
};

/// Release the number of a call that nobody knows the end of.
#[derive(Debug, Clone, clap::Args)]
pub struct ReleaseArgs {
    /// The call's id, or its beginning.
    #[arg(value_name = "CALL", value_parser = super::values::call_name)]
    pub id: CallName,
    /// How you know that it no longer rings; kept in the call's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Why,
}

/// Releases the number, or says why it cannot.
pub async fn run(
    args: &ReleaseArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let id = args.id.id(calls).await?;
    let released = calls.release(id, by, &args.why).await?;
    let word = match released {
        Released::Released => "released",
        Released::NotHeld => "not_held",
        Released::NotFound => "not_found",
    };
    if out.style.json {
        out.json(&json!({ "id": id, "verdict": word }))?;
    }
    match released {
        Released::Released => {
            out.note("released: the number may be rung again");
            Ok(Exit::Ok)
        }
        Released::NotHeld => Err(Failure::failed("the call holds no number")
            .hint(format!("`pgdial calls why {id}` says how it stands"))),
        Released::NotFound => Err(super::calls::no_such_call(id)),
    }
}
