//! The audit over HTTP: what people did to the queue.

use axum::{Json, extract::State, http::Uri};

use super::{
    App, body,
    problem::{Code, Problem},
    schema::acting::ActPage,
};
use crate::flow::acts::ActFilter;

const USUAL: usize = 50;
const MOST: usize = 200;

/// List what people did, newest first.
///
/// Each act on campaigns, trunks, workers and numbers, and each on many calls at once; what was
/// done to a single call is in its own history.
#[utoipa::path(
    get, path = "/api/v1/acts", tag = "operations",
    params(
        ("act" = Option<String>, Query, pattern = r"^[^\u0000]*$", description = "`pause`, `resume`, `set`, `cancel`, ... only."),
        ("kind" = Option<String>, Query, pattern = r"^[^\u0000]*$", description = "On a `campaign`, `trunk`, `worker` or `number`, on `calls` or the `cluster` only."),
        ("name" = Option<String>, Query, pattern = r"^[^\u0000]*$", description = "On the one of this name only."),
        ("by" = Option<String>, Query, pattern = r"^[^\u0000]*$", description = "By them only."),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 200, description = "How many; 50 when absent."),
        ("cursor" = Option<String>, Query, pattern = "^[1-9][0-9]{0,17}$", description = "`nextCursor` of the page before."),
    ),
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = ActPage)),
)]
pub(super) async fn list_acts(State(app): State<App>, uri: Uri) -> Result<Json<ActPage>, Problem> {
    let (filter, limit) = read(&uri)?;
    // One more than shown tells whether there is another page.
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut acts = app.calls.acts(&filter, wanted).await?;
    let more = acts.len() > limit;
    acts.truncate(limit);
    let last = acts.last().filter(|_| more);
    let next_cursor = last.map(|act| act.seq.to_string());
    Ok(Json(ActPage { acts, next_cursor }))
}

fn read(uri: &Uri) -> Result<(ActFilter, usize), Problem> {
    let refusal = |words: String| Problem::new(Code::InvalidQuery, words);
    let known = ["act", "kind", "name", "by", "limit", "cursor"];
    let mut given = body::query(uri, &known)?;
    let limit = given.remove("limit").map_or(Ok(USUAL), |text| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=MOST).contains(number));
        number.ok_or_else(|| refusal(format!("\"limit\" is a whole number from 1 to {MOST}")))
    });
    let below = given.remove("cursor").map(|text| {
        let seq = text.parse::<i64>().ok().filter(|seq| *seq > 0);
        seq.ok_or_else(|| {
            refusal("\"cursor\" is not one of ours: give back nextCursor as it was".to_owned())
        })
    });
    let filter = ActFilter {
        act: given.remove("act"),
        kind: given.remove("kind"),
        name: given.remove("name"),
        by: given.remove("by"),
        below: below.transpose()?,
    };
    Ok((filter, limit?))
}
