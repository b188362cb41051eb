//! Query of a request.

use std::{borrow::Cow, str::FromStr};

use axum::{
    extract::{self, FromRequestParts, rejection::QueryRejection},
    http::{Uri, request::Parts},
};
use form_urlencoded::Serializer;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        path::ParameterIn,
        schema::{SchemaType, Type},
    },
};

use super::{
    argument::{Argument, Described},
    cursor::{BadCursor, cursor},
    problem::{Code, Problem},
};
use crate::flow::listing::CallFilter;

/// Query parameters read as `T`: no unknown ones, each at most once.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> Query<T> {
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        Self::of(uri.query().unwrap_or_default())
    }

    fn of(query: &str) -> Result<Self, Problem> {
        let refusal = |words: String| Problem::new(Code::InvalidQuery, words);
        let has_nul = form_urlencoded::parse(query.as_bytes())
            .find(|(name, value)| name.contains('\0') || value.contains('\0'));
        if let Some((name, _)) = has_nul {
            let name: String = name.chars().take(60).collect();
            let words = format!("{name:?} contains the character U+0000: remove it");
            return Err(refusal(words));
        }
        let uri = format!("/?{query}").parse::<Uri>();
        let uri = uri.map_err(|error| refusal(error.to_string()))?;
        extract::Query::try_from_uri(&uri)
            .map(|extract::Query(query)| Self(query))
            .map_err(|rejection| refusal(words(&rejection)))
    }
}

/// `limit: must be a whole number` is about `limit`; the name of an unknown parameter may have any length.
fn words(rejection: &QueryRejection) -> String {
    let source = std::error::Error::source(rejection);
    let words = source.map_or_else(|| rejection.to_string(), ToString::to_string);
    let words: String = words.chars().take(500).collect();
    match words.split_once(": ") {
        Some((name, words)) => format!("\"{name}\" {words}"),
        None => words,
    }
}

/// A filter of calls, and other parameters beside it.
#[derive(Debug)]
pub(super) struct Filtered<T>(pub(super) CallFilter, pub(super) T);

impl<T: DeserializeOwned + IntoParams> Filtered<T> {
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        let beside = names::<T>();
        let (mut filter, mut rest) = (
            Serializer::new(String::new()),
            Serializer::new(String::new()),
        );
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let part = if beside.iter().any(|known| *known == name) {
                &mut rest
            } else {
                &mut filter
            };
            // A bare + arrives as a space.
            let value = match value.strip_prefix(' ') {
                Some(digits) if name == "to" && !digits.contains('+') => {
                    Cow::from(format!("+{digits}"))
                }
                _ => value,
            };
            part.append_pair(&name, &value);
        }
        let Query(filter) = Query::<CallFilter>::of(&filter.finish())?;
        if filter.all.is_some() {
            let known = names::<CallFilter>().join("`, `");
            let words = format!("unknown field `all`, expected one of `{known}`");
            return Err(Problem::new(Code::InvalidQuery, words));
        }
        let Query(rest) = Query::of(&rest.finish())?;
        Ok(Self(filter, rest))
    }
}

fn names<T: IntoParams>() -> Vec<String> {
    let parameters = T::into_params(|| Some(ParameterIn::Query));
    parameters
        .into_iter()
        .map(|parameter| parameter.name)
        .collect()
}

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Filtered<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::read(&parts.uri)
    }
}

impl<T: IntoParams> Argument for Filtered<T> {
    const REFUSES: &'static [Code] = &[Code::InvalidQuery];

    fn describe(described: &mut Described<'_>) {
        <Query<CallFilter> as Argument>::describe(described);
        <Query<T> as Argument>::describe(described);
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::read(&parts.uri)
    }
}

impl<T: IntoParams> Argument for Query<T> {
    const REFUSES: &'static [Code] = &[Code::InvalidQuery];

    fn describe(described: &mut Described<'_>) {
        let mut parameters = T::into_params(|| Some(ParameterIn::Query));
        for schema in parameters.iter_mut().filter_map(|p| p.schema.as_mut()) {
            forbid_null(schema);
        }
        described.parameters(parameters);
    }
}

/// An optional parameter is never null.
fn forbid_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &object.schema_type {
                let first = types.iter().find(|of| **of != Type::Null).cloned();
                object.schema_type = first.map_or(SchemaType::AnyValue, SchemaType::Type);
            }
        }
        RefOr::T(Schema::OneOf(choices)) => {
            if let Some(first) = choices.items.first().cloned() {
                *schema = first;
            }
        }
        _ => {}
    }
}

/// Page size with its default and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit<const USUAL: u16, const MOST: u16>(u16);

impl<const USUAL: u16, const MOST: u16> Limit<USUAL, MOST> {
    pub(super) fn get(self) -> i64 {
        self.0.into()
    }

    /// For statements that count in `int`.
    pub(super) fn small(self) -> i32 {
        self.0.into()
    }

    /// One more than the page shows; its presence tells whether there is another page.
    pub(super) fn and_one(self) -> i64 {
        self.get() + 1
    }

    /// Truncates to the page and returns the cursor of the next one, if any.
    pub(super) fn page<T, C>(self, found: &mut Vec<T>, cursor: impl Fn(&T) -> C) -> Option<C> {
        let more = found.len() > self.0.into();
        found.truncate(self.0.into());
        found.last().filter(|_| more).map(cursor)
    }
}

impl<const USUAL: u16, const MOST: u16> Default for Limit<USUAL, MOST> {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<'de, const USUAL: u16, const MOST: u16> Deserialize<'de> for Limit<USUAL, MOST> {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let number = String::deserialize(text)?.parse().ok();
        let number = number.filter(|number| (1..=MOST).contains(number));
        number
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("is a whole number from 1 to {MOST}")))
    }
}

impl<const USUAL: u16, const MOST: u16> PartialSchema for Limit<USUAL, MOST> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MOST))
            .default(Some(USUAL.into()))
            .into()
    }
}

impl<const USUAL: u16, const MOST: u16> ToSchema for Limit<USUAL, MOST> {}

/// Cursor of pages whose items are numbered: the last number shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^[1-9][0-9]{0,17}$")]
pub(super) struct Below(pub(super) i64);

impl FromStr for Below {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(Self).ok_or(BadCursor)
    }
}

impl<'de> Deserialize<'de> for Below {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        cursor(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        a: Option<String>,
        #[serde(default)]
        limit: Limit<5, 10>,
    }

    #[test]
    fn a_query_is_read_by_known_names_only() {
        let read = |text: &str| Query::<Known>::read(&text.parse().unwrap()).map(|query| query.0);
        assert_eq!(read("/x").unwrap().limit.get(), 5);
        let known = read("/x?limit=10&a=1%202").unwrap();
        assert_eq!((known.limit.get(), known.a.as_deref()), (10, Some("1 2")));
        for (bad, words) in [
            ("/x?c=1", "unknown field `c`"),
            ("/x?a=1&a=1", "duplicate field `a`"),
            ("/x?a=%00", "\"a\" contains the character U+0000"),
            ("/x?A=1", "unknown field `A`"),
            ("/x?limit=0", "\"limit\" is a whole number from 1 to 10"),
            ("/x?limit=x", "\"limit\" is a whole number"),
        ] {
            let problem = read(bad).unwrap_err();
            assert_eq!(problem.code(), Code::InvalidQuery, "{bad}");
            assert!(
                problem.detail().contains(words),
                "{bad}: {}",
                problem.detail()
            );
        }
    }
}
