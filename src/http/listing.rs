//! Pages of calls.

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    cursor::Cursor,
    numbers::number,
    problem::{Code, Problem},
    query::{self, Limit, Query},
    schema::CallPage,
};
use crate::{domain::CallState, flow::read::Filter};

/// Filters and paging of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CallQuery {
    /// Only calls in this state.
    state: Option<CallState>,
    /// Only calls to this number; write the + as %2B.
    #[serde(default, deserialize_with = "query::number")]
    #[param(max_length = 250, pattern = r"^[^\u0000]*$")]
    to: Option<String>,
    /// Region of `to` if it lacks + and country code: two letters, ISO 3166.
    region: Option<String>,
    /// Only calls of this campaign.
    #[param(pattern = r"^[^\u0000]*$")]
    campaign: Option<String>,
    /// Calls on a page.
    #[serde(default)]
    #[param(inline)]
    pub(super) limit: Limit<50, 200>,
    /// `nextCursor` of the previous page.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List calls, newest first.
///
/// A call that arrives meanwhile is on none of the following pages; none is shown twice.
#[utoipa::path(
    get, path = "/api/v1/calls", tag = "calls",
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = CallPage)),
)]
pub(super) async fn list_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Query(mut query): Query<CallQuery>,
) -> Result<Json<CallPage>, Problem> {
    query.campaign = owner.filtered(query.campaign)?;
    let limit = query.limit;
    let mut calls = app.calls.page(&query.filter()?, limit.and_one()).await?;
    let next_cursor = limit.page(&mut calls, |call| Cursor(call.id).to_string());
    Ok(Json(CallPage { calls, next_cursor }))
}

impl CallQuery {
    pub(super) fn filter(self) -> Result<Filter, Problem> {
        let to = self.to.map(|to| number(&to, self.region.as_deref()));
        let refusal = |words| Problem::new(Code::InvalidQuery, words);
        Ok(Filter {
            state: self.state,
            to: to.transpose().map_err(refusal)?,
            campaign: self.campaign,
            below: self.cursor.map(|cursor| cursor.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_written_with_a_bare_plus() {
        for text in [
            "/x?to=+14155550100",
            "/x?to=%2B14155550100",
            "/x?to=%2B1+415+5550100",
            "/x?to=+%2B14155550100",
        ] {
            let Query(query) = Query::<CallQuery>::read(&text.parse().unwrap()).unwrap();
            let filter = query.filter().unwrap();
            assert_eq!(filter.to.unwrap().as_e164(), "+14155550100", "{text}");
        }
    }
}
