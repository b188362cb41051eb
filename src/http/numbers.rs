//! Numbers over HTTP: the do-not-call list, and forgetting.
//!
//! A number is in the body, never in the path: paths are logged, here and by proxies.

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    body::Object,
    problem::{Code, Problem},
    query::{Limit, Query},
    schema::acting::{
        DoNotCallList, DoNotCallRemoveRequest, DoNotCallRequest, DoNotCallResponse, ForgetRequest,
    },
};
use crate::{
    domain::{Phone, Region},
    flow::{
        do_not_call::Scope,
        forget::{Forget, ForgetResponse, ForgetVerdict},
    },
};

/// Reads a number with its region; the error says what is wrong with either.
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
/// Removes the number, and what was said with it, from every table; waiting calls to it are canceled. Refused
/// while a call to it is in flight or held. If the response says `more`, repeat the request.
#[utoipa::path(
    post, path = "/api/v1/numbers/forget", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::Locked, Code::Held, Code::InFlight, Code::KeyNeeded]))),
    responses((status = 200, description = "What was emptied, or would be.", body = ForgetResponse)),
)]
pub(super) async fn forget_number(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<ForgetRequest>,
) -> Result<Json<ForgetResponse>, Problem> {
    let by = owner.by();
    let wanted = Forget {
        phone: &needed(&request.to, request.region.as_deref())?,
        dry_run: request.dry_run,
        on_the_list: request.do_not_call,
        by: &by,
        why: &request.why,
    };
    let forgot = app.calls.forget(&wanted).await?;
    match forgot.verdict {
        ForgetVerdict::Forgotten => Ok(Json(forgot)),
        _ => Err(not_forgotten(&forgot)),
    }
}

/// Why a number was not forgotten.
pub(super) fn not_forgotten(forgot: &ForgetResponse) -> Problem {
    let call = forgot.call.map(|id| id.to_string()).unwrap_or_default();
    let refusal = match forgot.verdict {
        ForgetVerdict::Forgotten => Problem::internal(),
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
    refusal.until(forgot.until)
}

/// An entry of a key that is bound to campaigns holds for one of them.
pub(super) fn within(scope: &Scope, owner: &Owner) -> Result<(), Problem> {
    // An entry without a campaign holds in others too, which none has as its name.
    owner.needs(scope.campaign.as_deref().unwrap_or_default())
}

/// Paging of the do-not-call list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DoNotCallQuery {
    /// Entries to return, at most.
    #[serde(default)]
    #[param(inline)]
    limit: Limit<50, 1000>,
}

/// List the do-not-call list, newest first.
///
/// Each entry with its reason and who added it.
#[utoipa::path(
    get, path = "/api/v1/do-not-call", tag = "operations",
    responses((status = 200, description = "The newest entries.", body = DoNotCallList)),
)]
pub(super) async fn list_do_not_call(
    State(app): State<App>,
    Query(query): Query<DoNotCallQuery>,
) -> Result<Json<DoNotCallList>, Problem> {
    let entries = app.calls.do_not_call_list(query.limit.get()).await?;
    Ok(Json(DoNotCallList { entries }))
}

/// Put a number on the do-not-call list.
///
/// Waiting calls to it are suppressed at once; calls in flight are left alone.
#[utoipa::path(
    post, path = "/api/v1/do-not-call", tag = "operations",
    responses((status = 200, description = "It is on the list.", body = DoNotCallResponse)),
)]
pub(super) async fn add_do_not_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<DoNotCallRequest>,
) -> Result<Json<DoNotCallResponse>, Problem> {
    let scope = request.scope();
    within(&scope, &owner)?;
    let phone = needed(&request.to, request.region.as_deref())?;
    let by = owner.by();
    let added = app
        .calls
        .do_not_call_add_in(&scope, &phone, &by, &request.why);
    let changed = added.await?;
    Ok(Json(DoNotCallResponse { changed }))
}

/// Take a number off the do-not-call list.
///
/// Without `topic` and `campaign`: its entry that holds everywhere. Entries of other scopes stay. Calls that it suppressed stay suppressed.
#[utoipa::path(
    post, path = "/api/v1/do-not-call/remove", tag = "operations",
    responses((status = 200, description = "It is not on the list.", body = DoNotCallResponse)),
)]
pub(super) async fn remove_do_not_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<DoNotCallRemoveRequest>,
) -> Result<Json<DoNotCallResponse>, Problem> {
    let scope = request.scope();
    within(&scope, &owner)?;
    let phone = needed(&request.to, request.region.as_deref())?;
    let by = owner.by();
    let removed = app
        .calls
        .do_not_call_remove_in(&scope, &phone, &by, Some(&request.why));
    let changed = removed.await?;
    Ok(Json(DoNotCallResponse { changed }))
}
