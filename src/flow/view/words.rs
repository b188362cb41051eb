//! Words that SQL knows, as the OpenAPI document lists them: each list stands in one SQL function, and is read from its text.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// Words between quotes in the body of a function.
fn words(sql: &'static str, function: &str) -> Vec<&'static str> {
    let begin = format!("function pgdial.{function}()");
    let body = sql.split_once(&begin).and_then(|(_, rest)| {
        let (_, body) = rest.split_once("$$")?;
        body.split_once("$$").map(|(body, _)| body)
    });
    let quoted = body
        .into_iter()
        .flat_map(|body| body.split('\'').skip(1).step_by(2));
    quoted.collect()
}

fn schema(description: &str, words: Vec<&'static str>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words))
        .into()
}

/// `pgdial.event_kinds`.
#[derive(Debug, Clone, Copy)]
pub enum EventKind {}

impl PartialSchema for EventKind {
    fn schema() -> RefOr<Schema> {
        schema("What happened to the call.", event_kinds())
    }
}

impl ToSchema for EventKind {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("EventKind")
    }
}

/// Some of `pgdial.event_kinds`, separated by commas.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct EventKinds(Vec<String>);

fn event_kinds() -> Vec<&'static str> {
    words(
        include_str!("../../../sql/flow/endpoints.sql"),
        "event_kinds",
    )
}

impl TryFrom<String> for EventKinds {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        let given = given.split(',').map(str::trim);
        let kinds: Vec<String> = given
            .filter(|kind| !kind.is_empty())
            .map(str::to_owned)
            .collect();
        let known = event_kinds();
        if kinds.iter().any(|kind| !known.contains(&kind.as_str())) {
            return Err(format!(
                "has kinds of events with commas between them: {}",
                known.join(", ")
            ));
        }
        Ok(Self(kinds))
    }
}

impl From<EventKinds> for Vec<String> {
    fn from(EventKinds(kinds): EventKinds) -> Self {
        kinds
    }
}

impl PartialSchema for EventKinds {
    fn schema() -> RefOr<Schema> {
        let kind = event_kinds().join("|");
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^({kind})(,({kind}))*$")))
            .into()
    }
}

impl ToSchema for EventKinds {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("EventKinds")
    }
}

/// `pgdial.why_reasons`.
#[derive(Debug, Clone, Copy)]
pub enum WhyReason {}

impl PartialSchema for WhyReason {
    fn schema() -> RefOr<Schema> {
        let sql = include_str!("../../../sql/views/why.sql");
        let description = "What keeps a call from being dialed, or what it waits for; of a call that is over, its state.";
        schema(description, words(sql, "why_reasons"))
    }
}

impl ToSchema for WhyReason {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("WhyReason")
    }
}
