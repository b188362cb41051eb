//! `ETag` and `If-Match`: a change that depends on what its author has seen.

use std::convert::Infallible;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::openapi::{
    ObjectBuilder, Required,
    path::{ParameterBuilder, ParameterIn},
    schema::Type,
};

use super::{
    App,
    argument::{Argument, Described},
    problem::{Code, Problem},
};
use crate::flow::version::Versioned;

/// What the request makes its change depend on; none: nothing.
#[derive(Debug)]
pub(super) struct IfMatch(pub(super) Option<Vec<String>>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let given = parts.headers.get_all(header::IF_MATCH);
        let tags: Vec<&str> = given
            .iter()
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .map(str::trim)
            .collect();
        let is_any = tags.is_empty() || tags.contains(&"*");
        // What is no tag of ours matches nothing.
        let versions = tags.into_iter().filter_map(|tag| {
            let version = tag.strip_prefix('"')?.strip_suffix('"')?;
            Some(version.to_owned())
        });
        Ok(Self((!is_any).then(|| versions.collect())))
    }
}

impl Argument for IfMatch {
    const REFUSES: &'static [Code] = &[Code::ChangedMeanwhile];

    fn describe(described: &mut Described<'_>) {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r#"^(\*|"[0-9]+")$"#));
        let parameter = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "`ETag` of a response: nothing is changed if somebody else has changed it since.",
            ))
            .schema(Some(schema))
            .build();
        described.parameters(vec![parameter]);
    }
}

pub(super) fn changed_meanwhile() -> Problem {
    Problem::new(
        Code::ChangedMeanwhile,
        "it has been changed since the response whose ETag If-Match names: read it again",
    )
}

/// A body with the version of what it shows.
#[derive(Debug)]
pub(super) struct Tagged<T>(Option<String>, T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self(version, body) = self;
        let tag = version.and_then(|version| HeaderValue::try_from(format!("\"{version}\"")).ok());
        let mut response = Json(body).into_response();
        if let Some(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// Shows something with its version, which is read first: a change between the two makes the version too old, so that
/// it matches nothing.
pub(super) async fn tagged<T>(
    app: &App,
    (of, name): (Versioned, &str),
    shown: impl Future<Output = Result<T, Problem>>,
) -> Result<Tagged<T>, Problem> {
    let version = app.calls.version(of, name).await?;
    Ok(Tagged(version, shown.await?))
}
