//! The audit trail over HTTP.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    problem::Problem,
    query::{Below, Limit, Query},
    schema::acting::ActPage,
};
use crate::flow::acts::ActFilter;

/// Filters and paging of the audit trail.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ActQuery {
    /// Only acts of this kind: `pause`, `resume`, `set`, `cancel`, ...
    #[param(pattern = r"^[^\u0000]*$")]
    act: Option<String>,
    /// Only acts on a `campaign`, `trunk`, `calling_hours`, `calendar`, `contact_limit`, `worker`, `number`, `caller_id`,
    /// `endpoint` or `key`, on `calls`
    /// or on the `cluster`.
    #[param(pattern = r"^[^\u0000]*$")]
    kind: Option<String>,
    /// Only acts on the campaign, trunk, worker or number with this name.
    #[param(pattern = r"^[^\u0000]*$")]
    name: Option<String>,
    /// Only acts by this client, as in an act's `by`.
    #[param(pattern = r"^[^\u0000]*$")]
    by: Option<String>,
    /// Only acts at or after this instant (RFC 3339).
    after: Option<DateTime<Utc>>,
    /// Only acts before this instant (RFC 3339).
    before: Option<DateTime<Utc>>,
    /// Acts on a page.
    #[serde(default)]
    #[param(inline)]
    limit: Limit<50, 200>,
    /// `nextCursor` of the previous page.
    #[param(inline)]
    cursor: Option<Below>,
}

/// List acts, newest first.
///
/// Every act on a campaign, trunk, worker or number, and every act on many calls at once. Acts on a single
/// call are in that call's history.
#[utoipa::path(
    get, path = "/api/v1/acts", tag = "operations",
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = ActPage)),
)]
pub(super) async fn list_acts(
    State(app): State<App>,
    Query(query): Query<ActQuery>,
) -> Result<Json<ActPage>, Problem> {
    let filter = ActFilter {
        act: query.act,
        kind: query.kind,
        name: query.name,
        by: query.by,
        after: query.after,
        before: query.before,
        below: query.cursor.map(|below| below.0),
    };
    let mut acts = app.calls.acts(&filter, query.limit.and_one()).await?;
    let next_cursor = query.limit.page(&mut acts, |act| act.seq.to_string());
    Ok(Json(ActPage { acts, next_cursor }))
}
