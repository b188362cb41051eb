//! Pages of calls, and calls by what names them.

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    cursor::Cursor,
    problem::{Code, Problem},
    query::{Filtered, Limit},
    schema::CallPage,
};
use crate::flow::{
    groups::ChangeError,
    listing::{CallFilter, Find},
};

/// What to look for, and paging.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CallQuery {
    /// Whatever names a call, instead of a filter (with `campaign` and `region` only): a telephone number in any
    /// spelling, an id or its beginning, the provider's id, the idempotency key, or `key=value` of its metadata, which
    /// is looked for among the newest 100,000 calls. One page, without a cursor.
    #[param(max_length = 1000, pattern = r"^[^\u0000]*$")]
    q: Option<String>,
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
/// A call that arrives meanwhile is on none of the following pages; none is shown twice. A page may be short, or
/// empty, and yet have a `nextCursor`: a request looks at some thousands of calls at most, however few of them match.
#[utoipa::path(
    get, path = "/api/v1/calls", tag = "calls",
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = CallPage)),
)]
pub(super) async fn list_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Filtered(mut filter, query): Filtered<CallQuery>,
) -> Result<Json<CallPage>, Problem> {
    filter.campaign = owner.filtered(filter.campaign)?;
    if let Some(text) = &query.q {
        return find(&app, text, &filter, &query).await;
    }
    let below = query.cursor.map(|cursor| cursor.0);
    let listed = app.calls.list(&filter, below, query.limit.small()).await;
    let listed = listed.map_err(refusal)?;
    Ok(Json(CallPage {
        calls: listed.calls,
        next_cursor: listed.below.map(|id| Cursor(id).to_string()),
    }))
}

/// Characters of `q` at most.
const LONGEST_FIND: usize = 1000;

async fn find(
    app: &App,
    text: &str,
    filter: &CallFilter,
    query: &CallQuery,
) -> Result<Json<CallPage>, Problem> {
    let allowed = CallFilter {
        campaign: filter.campaign.clone(),
        region: filter.region.clone(),
        ..CallFilter::default()
    };
    if *filter != allowed || query.cursor.is_some() {
        let words = "\"q\" goes with campaign, region and limit only: leave the other filters out";
        return Err(Problem::new(Code::InvalidQuery, words));
    }
    if text.chars().count() > LONGEST_FIND {
        let words = format!("\"q\" has more than {LONGEST_FIND} characters");
        return Err(Problem::new(Code::InvalidQuery, words));
    }
    let wanted = Find {
        text,
        campaign: filter.campaign.as_deref(),
        region: filter.region.as_deref(),
    };
    let calls = app.calls.find(&wanted, query.limit.small()).await?;
    Ok(Json(CallPage {
        calls,
        next_cursor: None,
    }))
}

/// A filter that the database refuses.
pub(super) fn refusal(error: ChangeError) -> Problem {
    match error {
        ChangeError::Refused(words) => Problem::new(Code::InvalidQuery, words),
        other => other.into(),
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
            "/x?to=+%2B14155550100",
        ] {
            let Filtered(filter, _) = Filtered::<CallQuery>::read(&text.parse().unwrap()).unwrap();
            assert_eq!(filter.to.unwrap().trim(), "+14155550100", "{text}");
        }
    }

    #[test]
    fn filters_and_paging_are_told_apart_and_nothing_else_is_taken() {
        let text = "/x?state=waiting,failed&limit=7&runAfter=2026-01-31T09:00:00Z&metadata=a%3Db";
        let Filtered(filter, query) = Filtered::<CallQuery>::read(&text.parse().unwrap()).unwrap();
        assert_eq!(filter.state.unwrap().len(), 2);
        assert_eq!(filter.metadata.as_deref(), Some("a=b"));
        assert_eq!(query.limit.get(), 7);
        for bad in [
            "/x?odd=1",
            "/x?state=done",
            "/x?state=",
            "/x?limit=0",
            "/x?all=true",
            "/x?limit=1&limit=2",
        ] {
            let problem = Filtered::<CallQuery>::read(&bad.parse().unwrap()).unwrap_err();
            assert_eq!(problem.code(), Code::InvalidQuery, "{bad}");
        }
    }
}
