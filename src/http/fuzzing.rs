//! Doors for the fuzz targets in `fuzz/`: the pure functions that read what strangers send.
//! Not an interface: they change with the code behind them. A refusal is its code's word.

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

use super::{
    batch, body, callbacks, cursor::Cursor, listing::CallQuery, problem::Problem, query::Query,
};
use crate::{domain::Reference, flow::read::Filter, provider::Webhook, trunks::Trunks};

/// A cursor, printed again.
pub fn cursor(text: &str) -> Option<String> {
    text.parse::<Cursor>().ok().map(|cursor| cursor.to_string())
}

/// The query of a listing: its filter and its limit.
pub fn listing(uri: &Uri) -> Result<(Filter, i64), &'static str> {
    let read = || {
        let Query(query) = Query::<CallQuery>::read(uri)?;
        let limit = query.limit.get();
        Ok((query.filter()?, limit))
    };
    read().map_err(|problem: Problem| problem.code().as_str())
}

/// The body of `POST /calls` and of `PATCH`.
pub fn object(text: &[u8]) -> Result<Value, &'static str> {
    body::read_object(text).map_err(|problem| problem.code().as_str())
}

/// The body of a batch, as an array.
pub fn batch_array(text: &[u8]) -> Result<Vec<batch::Item>, &'static str> {
    batch::read_items(body::JSON, text).map_err(|problem| problem.code().as_str())
}

/// The body of a batch, one object a line.
pub fn batch_lines(text: &[u8]) -> Result<Vec<batch::Item>, &'static str> {
    batch::read_items(batch::NDJSON, text).map_err(|problem| problem.code().as_str())
}

/// Whether a webhook is believed: the trunk and the dial that it is about, or why not.
pub fn webhook<'a>(
    trunks: &'a Trunks,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(&'a str, Option<Reference>), &'static str> {
    let address = callbacks::Address::read(uri);
    let claimed = callbacks::claim(trunks, &address, headers)?;
    let webhook = Webhook {
        method: &Method::POST,
        url: "",
        headers,
        body,
    };
    callbacks::verify(&claimed, &webhook, super::LARGEST_WEBHOOK)?;
    Ok((claimed.trunk.name.as_str(), claimed.reference))
}
