//! Numbers over HTTP: not to be rung, and to be forgotten.
//!
//! A number stands in the body, never in the path: paths are logged, by us and by others.

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::Uri,
};

use super::{
    App,
    auth::Owner,
    body,
    lanes::check_reason,
    problem::{Code, Problem},
    schema::acting::{DoNotCallList, DoNotCallRequest, DoNotCallResponse, ForgetRequest},
};
use crate::{
    domain::{Phone, Region},
    flow::forget::{Forget, ForgetResponse, ForgetVerdict},
};

const USUAL: i64 = 50;
const MOST: i64 = 1000;

/// A number and where it is dialled, as a request has them; or what is wrong with one of them.
pub(super) fn number(to: &str, region: Option<&str>) -> Result<Phone, String> {
    let region = region.map(str::parse::<Region>).transpose();
    let region = region.map_err(|error| format!("\"region\" is {error}"))?;
    Phone::parse_in(to, region).map_err(|error| format!("\"to\" is {error}"))
}

fn needed(to: &str, region: Option<&str>) -> Result<Phone, Problem> {
    number(to, region).map_err(|words| Problem::new(Code::InvalidRequest, words))
}

/// Forget a number.
///
/// Takes the number, and what was said with it, out of every table; waiting calls to it are
/// canceled. Refused while a call of it is in flight or held. With `more` there are other calls:
/// send it again.
#[utoipa::path(
    post, path = "/api/v1/numbers/forget", tag = "operations", request_body = ForgetRequest,
    responses((status = 200, description = "What was emptied, or would be.", body = ForgetResponse)),
)]
pub(super) async fn forget_number(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    request: Request,
) -> Result<Json<ForgetResponse>, Problem> {
    let request: ForgetRequest = body::typed(request).await?;
    check_reason(&request.why)?;
    let by = owner.by();
    let wanted = Forget {
        phone: &needed(&request.to, request.region.as_deref())?,
        dry_run: request.dry_run,
        on_the_list: request.do_not_call,
        by: &by,
        why: &request.why,
    };
    let forgot = app.calls.forget(&wanted).await?;
    let call = forgot.call.map(|id| id.to_string()).unwrap_or_default();
    let refusal = match forgot.verdict {
        ForgetVerdict::Forgotten => return Ok(Json(forgot)),
        ForgetVerdict::InFlight => Problem::new(
            Code::InFlight,
            format!("call {call} to this number is in flight: try again when it is over"),
        ),
        ForgetVerdict::Held => Problem::new(
            Code::Held,
            format!(
                "nobody knows how the last dial of call {call} ended, so it may still ring: \
                 wait until \"until\", or release it"
            ),
        ),
        ForgetVerdict::KeyNeeded => Problem::new(
            Code::KeyNeeded,
            format!(
                "the idempotency key of call {call} is made of this number, and a repetition of its request \
                 must not ring: wait until \"until\", or say \"doNotCall\": \"add\""
            ),
        ),
        ForgetVerdict::LockedOut => Problem::new(
            Code::Locked,
            "somebody's open transaction holds a call to this number: try again",
        )
        .retry_after(1),
    };
    Err(refusal.until(forgot.until))
}

/// List the numbers not to ring, newest first.
#[utoipa::path(
    get, path = "/api/v1/do-not-call", tag = "operations",
    params(("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "How many; 50 when absent.")),
    responses((status = 200, description = "The newest entries.", body = DoNotCallList)),
)]
pub(super) async fn list_do_not_call(
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<DoNotCallList>, Problem> {
    let mut given = body::query(&uri, &["limit"])?;
    let limit = given.remove("limit").map_or(Ok(USUAL), |text| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=MOST).contains(number));
        number.ok_or_else(|| {
            let words = format!("\"limit\" is a whole number from 1 to {MOST}");
            Problem::new(Code::InvalidQuery, words)
        })
    });
    let entries = app.calls.do_not_call_list(limit?).await?;
    Ok(Json(DoNotCallList { entries }))
}

/// Put a number on the do-not-call list.
///
/// Waiting calls to it are passed over at once; live ones are left alone.
#[utoipa::path(
    post, path = "/api/v1/do-not-call", tag = "operations", request_body = DoNotCallRequest,
    responses((status = 200, description = "It is on the list.", body = DoNotCallResponse)),
)]
pub(super) async fn add_do_not_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    request: Request,
) -> Result<Json<DoNotCallResponse>, Problem> {
    let request: DoNotCallRequest = body::typed(request).await?;
    check_reason(&request.why)?;
    let phone = needed(&request.to, request.region.as_deref())?;
    let by = owner.by();
    let added = app.calls.do_not_call_add(&phone, &by, &request.why);
    let changed = added.await?;
    Ok(Json(DoNotCallResponse { changed }))
}

/// Take a number off the do-not-call list.
#[utoipa::path(
    post, path = "/api/v1/do-not-call/remove", tag = "operations", request_body = DoNotCallRequest,
    responses((status = 200, description = "It is not on the list.", body = DoNotCallResponse)),
)]
pub(super) async fn remove_do_not_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    request: Request,
) -> Result<Json<DoNotCallResponse>, Problem> {
    let request: DoNotCallRequest = body::typed(request).await?;
    check_reason(&request.why)?;
    let phone = needed(&request.to, request.region.as_deref())?;
    let by = owner.by();
    let removed = app
        .calls
        .do_not_call_remove(&phone, &by, Some(&request.why));
    let changed = removed.await?;
    Ok(Json(DoNotCallResponse { changed }))
}
