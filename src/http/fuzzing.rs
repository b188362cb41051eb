//! Entry points for the fuzz targets in `fuzz/`: the pure functions that read untrusted input. Not an
//! interface; they change with the code behind them. A refusal is returned as its code.

use std::sync::LazyLock;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{
    batch,
    body::{self, Share},
    callbacks,
    cursor::Cursor,
    listing::CallQuery,
    problem::Problem,
    query::Filtered,
};
use crate::{domain::Reference, flow::listing::CallFilter, provider::Webhook, trunks::Trunks};

/// A cursor, read and printed again.
pub fn cursor(text: &str) -> Option<String> {
    text.parse::<Cursor>().ok().map(|cursor| cursor.to_string())
}

/// Filter and limit of a listing's query.
pub fn listing(uri: &Uri) -> Result<(CallFilter, i64), &'static str> {
    let read = || {
        let Filtered(filter, query) = Filtered::<CallQuery>::read(uri)?;
        Ok((filter, query.limit.get()))
    };
    read().map_err(|problem: Problem| problem.code().as_str())
}

/// Body of `POST /calls` and of `PATCH`.
pub fn object(text: &[u8]) -> Result<Value, &'static str> {
    body::read_object(text).map_err(|problem| problem.code().as_str())
}

/// Body of a batch as an array.
pub fn batch_array(text: &[u8]) -> Result<Vec<batch::Item>, &'static str> {
    batch::read_items(body::JSON, text).map_err(|problem| problem.code().as_str())
}

/// Body of a batch as NDJSON.
pub fn batch_lines(text: &[u8]) -> Result<Vec<batch::Item>, &'static str> {
    batch::read_items(batch::NDJSON, text).map_err(|problem| problem.code().as_str())
}

/// A body waits for room by the runtime's clock.
#[expect(clippy::panic, reason = "a fuzz target that cannot start has failed")]
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.unwrap_or_else(|error| panic!("no runtime: {error}"))
});

/// Trunk and reference of a webhook that is accepted, or the reason why it is not.
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
    let room = body::Room::new(super::LARGEST_WEBHOOK);
    let mut share = Share::none(&room);
    let verified = RUNTIME.block_on(callbacks::verify(&claimed, &webhook, &mut share));
    verified.map_err(|problem| problem.code().as_str())??;
    Ok((claimed.trunk.name.as_str(), claimed.reference))
}
