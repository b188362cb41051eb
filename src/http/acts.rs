//! The audit over HTTP: what people did to the queue.

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    problem::Problem,
    query::{Below, Limit, Query},
    schema::acting::ActPage,
};
use crate::flow::acts::ActFilter;

/// Which acts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ActQuery {
    /// `pause`, `resume`, `set`, `cancel`, ... only.
    #[param(pattern = r"^[^\u0000]*$")]
    act: Option<String>,
    /// On a `campaign`, `trunk`, `worker` or `number`, on `calls` or the `cluster` only.
    #[param(pattern = r"^[^\u0000]*$")]
    kind: Option<String>,
    /// On the one of this name only.
    #[param(pattern = r"^[^\u0000]*$")]
    name: Option<String>,
    /// By them only.
    #[param(pattern = r"^[^\u0000]*$")]
    by: Option<String>,
    /// How many.
    #[serde(default)]
    #[param(inline)]
    limit: Limit<50, 200>,
    /// `nextCursor` of the page before.
    #[param(inline)]
    cursor: Option<Below>,
}

/// List what people did, newest first.
///
/// Each act on campaigns, trunks, workers and numbers, and each on many calls at once; what was
/// done to a single call is in its own history.
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
        below: query.cursor.map(|below| below.0),
    };
    let mut acts = app.calls.acts(&filter, query.limit.and_one()).await?;
    let next_cursor = query.limit.page(&mut acts, |act| act.seq.to_string());
    Ok(Json(ActPage { acts, next_cursor }))
}
