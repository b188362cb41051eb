//! Path parameters: the id of a call or a worker, a name.

use std::marker::PhantomData;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use utoipa::{
    PartialSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Required, Schema, SchemaFormat,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};
use uuid::Uuid;

use super::{
    argument::{Argument, Described},
    groups::Group,
    problem::{Code, Problem},
};
use crate::domain::CallId;

/// A type with an id in the path.
pub(super) trait Identified: Sized {
    const WHAT: &'static str;
    const IS_UNKNOWN: Code;

    fn of(id: Uuid) -> Self;
}

impl Identified for CallId {
    const WHAT: &'static str = "call";
    const IS_UNKNOWN: Code = Code::NotFound;

    fn of(id: Uuid) -> Self {
        Self(id)
    }
}

/// Id of a worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkerId(pub(super) Uuid);

impl Identified for WorkerId {
    const WHAT: &'static str = "worker";
    const IS_UNKNOWN: Code = Code::NoSuchWorker;

    fn of(id: Uuid) -> Self {
        Self(id)
    }
}

/// Id in the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id<T = CallId>(pub(super) T);

impl<S: Send + Sync, T: Identified> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(T::of).map(Self).ok_or_else(|| {
            let what = T::WHAT;
            let detail =
                format!("the id of a {what} is a UUID, as in 0197f5e0-0000-7000-8000-000000000001");
            Problem::new(Code::InvalidId, detail)
        })
    }
}

impl<T: Identified> Argument for Id<T> {
    const REFUSES: &'static [Code] = &[Code::InvalidId, T::IS_UNKNOWN];

    fn describe(described: &mut Described<'_>) {
        let uuid = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
        let parameter = parameter("id", T::WHAT, uuid);
        described.parameters(vec![parameter]);
    }
}

/// Name in the path.
#[derive(Debug, Clone)]
pub(super) struct Name<L>(pub(super) String, pub(super) PhantomData<L>);

impl<S: Send + Sync, L> FromRequestParts<S> for Name<L> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        // U+0000 would fail the statement, and no name contains it.
        path.ok()
            .filter(|Path(name)| !name.contains('\0'))
            .map(|Path(name)| Self(name, PhantomData))
            .ok_or_else(|| Problem::new(Code::InvalidId, "the name in the path cannot be read"))
    }
}

/// What has a name in the path.
pub(super) trait Named {
    const WHAT: &'static str;
    const IS_UNKNOWN: Code;
}

impl<L: Group> Named for L {
    const WHAT: &'static str = L::KIND.as_str();
    const IS_UNKNOWN: Code = L::IS_UNKNOWN;
}

impl<N: Named> Argument for Name<N> {
    const REFUSES: &'static [Code] = &[Code::InvalidId, N::IS_UNKNOWN];

    fn describe(described: &mut Described<'_>) {
        described.parameters(vec![text("name", N::WHAT)]);
    }
}

/// A parameter that is any text.
pub(super) fn text(name: &str, what: &str) -> Parameter {
    parameter(name, what, String::schema())
}

fn parameter(name: &str, what: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(format!("The {what}.")))
        .schema(Some(schema))
        .build()
}
