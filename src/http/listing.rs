//! Pages of calls.

use axum::{Json, extract::State, http::Uri};

use super::{
    App, body,
    cursor::Cursor,
    numbers::number,
    problem::{Code, Problem},
    schema::CallPage,
};
use crate::{domain::CallState, flow::read::Filter};

const USUAL: usize = 50;
const MOST: usize = 200;

/// List calls, newest first.
#[utoipa::path(
    get, path = "/api/v1/calls", tag = "calls",
    params(
        ("state" = Option<CallState>, Query, description = "In this state only."),
        ("to" = Option<String>, Query, max_length = 250, description = "To this number only; write the + as %2B."),
        ("region" = Option<String>, Query, description = "Where that is dialled, if it has no + and country code: ISO 3166, two letters."),
        ("campaign" = Option<String>, Query, pattern = r"^[^\u0000]*$", description = "Of this campaign only."),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 200, description = "How many; 50 when absent."),
        ("cursor" = Option<String>, Query, pattern = "^A[Q-Za-f][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$", description = "`nextCursor` of the page before."),
    ),
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = CallPage)),
)]
pub(super) async fn list_calls(
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<CallPage>, Problem> {
    let (filter, limit) = read(&uri)?;
    // One more than shown tells whether there is another page.
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut calls = app.calls.page(&filter, wanted).await?;
    let more = calls.len() > limit;
    calls.truncate(limit);
    let last = calls.last().filter(|_| more);
    let next_cursor = last.map(|call| Cursor(call.id).to_string());
    Ok(Json(CallPage { calls, next_cursor }))
}

pub(super) fn read(uri: &Uri) -> Result<(Filter, usize), Problem> {
    let refusal = |words: String| Problem::new(Code::InvalidQuery, words);
    let mut given = body::query(
        uri,
        &["state", "to", "region", "campaign", "limit", "cursor"],
    )?;
    let state = given.remove("state").map(|word| {
        let states = CallState::ALL.map(CallState::as_str);
        let known = CallState::ALL
            .into_iter()
            .find(|state| state.as_str() == word);
        known.ok_or_else(|| refusal(format!("\"state\" is one of {}", states.join(", "))))
    });
    let region = given.remove("region");
    let to = given.remove("to").map(|text| {
        // A bare + in a query is a space; where there is no other +, nobody means the space.
        let text = match text.strip_prefix(' ') {
            Some(rest) if !rest.contains('+') => format!("+{rest}"),
            _ => text,
        };
        number(&text, region.as_deref()).map_err(refusal)
    });
    let limit = given.remove("limit").map_or(Ok(USUAL), |text| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=MOST).contains(number));
        number.ok_or_else(|| refusal(format!("\"limit\" is a whole number from 1 to {MOST}")))
    });
    let cursor = given.remove("cursor").map(|text| {
        text.parse::<Cursor>().map_err(|_bad| {
            refusal("\"cursor\" is not one of ours: give back nextCursor as it was".to_owned())
        })
    });
    let filter = Filter {
        state: state.transpose()?,
        to: to.transpose()?,
        campaign: given.remove("campaign"),
        below: cursor.transpose()?.map(|cursor| cursor.0),
    };
    Ok((filter, limit?))
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
            let (filter, limit) = read(&text.parse().unwrap()).unwrap();
            assert_eq!(filter.to.unwrap().as_e164(), "+14155550100", "{text}");
            assert_eq!(limit, USUAL);
        }
    }
}
