//! What the arguments of handlers say of themselves.

use axum::{
    extract::{Extension, State},
    http::{HeaderMap, Uri},
};
use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, ObjectBuilder, OneOfBuilder, Ref, RefOr, Required,
        path::{Operation, Parameter},
        request_body::RequestBodyBuilder,
        schema::Type,
    },
};

use super::{
    App,
    auth::{Directory, Owner},
    problem::Code,
};

/// An operation being described.
pub(super) struct Described<'a> {
    pub(super) operation: &'a mut Operation,
    pub(super) components: &'a mut Components,
}

impl Described<'_> {
    pub(super) fn parameters(&mut self, parameters: Vec<Parameter>) {
        let all = self.operation.parameters.get_or_insert_default();
        all.extend(parameters.into_iter().map(RefOr::T));
    }

    /// Declares a JSON body.
    pub(super) fn body<T: ToSchema>(&mut self, required: Required) {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        self.components.schemas.extend(schemas);
        let schema = RefOr::Ref(Ref::from_schema_name(T::name()));
        let schema = match required {
            Required::True => schema,
            Required::False => {
                let null = ObjectBuilder::new().schema_type(Type::Null);
                OneOfBuilder::new().item(schema).item(null).into()
            }
        };
        let body = RequestBodyBuilder::new()
            .content("application/json", Content::new(Some(schema)))
            .required(Some(required))
            .build();
        self.operation.request_body.get_or_insert(RefOr::T(body));
    }
}

/// Argument of a handler: what it takes from a request, and the codes it refuses one with.
pub(super) trait Argument {
    const REFUSES: &'static [Code] = &[];

    fn describe(_described: &mut Described<'_>) {}
}

impl Argument for State<App> {}
impl Argument for Extension<Owner> {}
impl Argument for Extension<Directory> {}
impl Argument for HeaderMap {}
impl Argument for Uri {}
