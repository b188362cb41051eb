//! Operations of the API: each handler is listed once, for both its route and its place in the document.
//!
//! Method and path come from the handler's attribute. Its arguments state what they take and refuse
//! ([`Argument`]), so that the attribute only lists refusals of its own.

use std::future::{Future, ready};

use axum::{
    Extension, Json, Router,
    handler::Handler,
    middleware::{from_fn_with_state, map_response},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use utoipa::openapi::{
    ObjectBuilder, OpenApi, Ref, RefOr, Required,
    extensions::Extensions,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
    schema::Type,
    security::SecurityRequirement,
};

use super::{
    App,
    argument::{Argument, Described},
    auth::{self, Access, Directory},
    problem::{Code, Problem},
};

/// Extension that lists the codes an operation refuses with.
pub(super) const CODES: &str = "x-problem-codes";
/// Extension with the scope that an operation needs.
const SCOPE: &str = "x-scope";
/// Extension with what an operation is about, for keys that are bound to campaigns.
const REACH: &str = "x-reach";
/// Name of the parameter that unmasks.
pub(super) const UNMASKING: &str = "Unmask";

/// Collects handlers into [`Operations`].
macro_rules! operations {
    ($($module:ident :: $handler:ident),* $(,)?) => {{
        let mut operations = $crate::http::operations::Operations::default();
        $({
            #[derive(utoipa::OpenApi)]
            #[openapi(paths($module::$handler))]
            struct Alone;
            operations.add(<Alone as utoipa::OpenApi>::openapi(), &$module::$handler, None);
        })*
        operations
    }};
}

/// The same for handlers that need a key: each with the scope it needs, and what it is about.
macro_rules! guarded {
    ($($scope:ident $reach:ident $module:ident :: $handler:ident),* $(,)?) => {{
        let mut operations = $crate::http::operations::Operations::default();
        $({
            #[derive(utoipa::OpenApi)]
            #[openapi(paths($module::$handler))]
            struct Alone;
            let access = $crate::http::auth::Access {
                scope: $crate::domain::Scope::$scope,
                reach: $crate::http::auth::Reach::$reach,
                door: $crate::http::auth::Door::Api,
            };
            operations.add(<Alone as utoipa::OpenApi>::openapi(), &$module::$handler, Some(access));
        })*
        operations
    }};
}
pub(super) use {guarded, operations};

/// Handlers with their routes and their part of the document.
#[derive(Default)]
pub(super) struct Operations {
    pub(super) router: Router<App>,
    pub(super) document: OpenApi,
}

impl Operations {
    /// Adds a handler; `alone` is a document of this operation only. Without `access` everybody may call it.
    pub(super) fn add<H, T, A>(&mut self, mut alone: OpenApi, handler: &H, access: Option<Access>)
    where
        H: Handler<T, App> + Signature<A>,
        T: 'static,
    {
        let components = alone.components.get_or_insert_default();
        for (path, item) in &mut alone.paths.paths {
            for (method, operation) in methods(item) {
                H::describe(&mut Described {
                    operation,
                    components,
                });
                refuse(operation, &[Code::Internal, Code::TimedOut]);
                let mut route = on(method, handler.clone());
                if let Some(access) = access {
                    describe(access, operation);
                    route = route.layer(from_fn_with_state(access, auth::guard));
                }
                let route = if cfg!(debug_assertions) {
                    checked(route, refusals(operation))
                } else {
                    route
                };
                self.router = std::mem::take(&mut self.router).route(path, route);
            }
        }
        self.document.merge(alone);
    }

    /// Lets the guards of these operations know the keys.
    pub(super) fn behind(mut self, directory: Directory) -> Self {
        self.router = self.router.route_layer(Extension(directory));
        self
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.document.merge(other.document);
        self
    }
}

/// Says in the document what its guard checks.
fn describe(Access { scope, reach, .. }: Access, operation: &mut Operation) {
    refuse(operation, auth::REFUSES);
    let [key, session] = ["apiKey", "session"].map(|name| SecurityRequirement::new(name, [""; 0]));
    // The empty requirement is an alternative: a server without keys does not ask for one.
    operation.security = Some(vec![key, session, SecurityRequirement::default()]);
    let needs: Extensions = [(SCOPE, scope.as_str()), (REACH, reach.as_str())]
        .into_iter()
        .collect();
    operation.extensions.get_or_insert_default().merge(needs);
    let unmask = RefOr::Ref(Ref::new(format!("#/components/parameters/{UNMASKING}")));
    operation.parameters.get_or_insert_default().push(unmask);
}

/// The header that unmasks, which every operation with a guard takes.
pub(super) fn unmasking() -> Parameter {
    let reason = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(500))
        .pattern(Some(r"^[\t -~]*[!-~][\t -~]*$"));
    ParameterBuilder::new()
        .name("Pgdial-Unmask")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Why numbers, metadata and results are to be shown, to a key that sees them on request; kept as an act.",
        ))
        .schema(Some(reason))
        .build()
}

/// Adds codes an operation refuses with.
fn refuse(operation: &mut Operation, codes: &[Code]) {
    let known = refusals(operation);
    let all = Code::ALL
        .into_iter()
        .filter(|code| known.contains(code) || codes.contains(code));
    let all: Vec<_> = all.map(Code::as_str).collect();
    let all: Extensions = [(CODES, all)].into_iter().collect();
    operation.extensions.get_or_insert_default().merge(all);
}

/// Codes an operation refuses with, by status.
pub(super) fn refusals(operation: &Operation) -> Vec<Code> {
    let codes = operation.extensions.as_ref();
    let codes = codes.and_then(|extensions| extensions.get(CODES)?.as_array());
    let is_named =
        |code: &Code| codes.is_some_and(|codes| codes.iter().any(|c| c == code.as_str()));
    Code::ALL.into_iter().filter(is_named).collect()
}

/// Operations of a path.
fn methods(item: &mut PathItem) -> impl Iterator<Item = (MethodFilter, &mut Operation)> {
    [
        (MethodFilter::GET, &mut item.get),
        (MethodFilter::POST, &mut item.post),
        (MethodFilter::PATCH, &mut item.patch),
        (MethodFilter::PUT, &mut item.put),
        (MethodFilter::DELETE, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

pub(super) fn each_operation(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items.flat_map(methods).map(|(_, operation)| operation)
}

/// In tests, panics if an operation refuses with a code that the document does not list.
fn checked(route: MethodRouter<App>, codes: Vec<Code>) -> MethodRouter<App> {
    route.layer(map_response(move |response: Response| {
        if let Some(problem) = response.extensions().get::<Problem>() {
            let code = problem.code();
            assert!(codes.contains(&code), "{code:?} is not among {codes:?}");
        }
        ready(response)
    }))
}

/// Return type of a handler.
pub(super) trait Answer {
    const REFUSES: &'static [Code] = &[];
}

impl Answer for Response {}
impl<T> Answer for Json<T> {}

/// An operation that can fail uses the database.
impl<T> Answer for Result<T, Problem> {
    const REFUSES: &'static [Code] = &[Code::Unavailable];
}

/// Arguments and return type of a handler.
pub(super) trait Signature<Arguments> {
    fn describe(described: &mut Described<'_>);
}

macro_rules! signatures {
    ($($argument:ident)*) => {
        impl<F, Answering, A, $($argument),*> Signature<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Answering,
            Answering: Future<Output = A>,
            A: Answer,
            $($argument: Argument,)*
        {
            fn describe(described: &mut Described<'_>) {
                $(
                    refuse(described.operation, $argument::REFUSES);
                    $argument::describe(described);
                )*
                refuse(described.operation, A::REFUSES);
            }
        }
    };
}

signatures!();
signatures!(A1);
signatures!(A1 A2);
signatures!(A1 A2 A3);
signatures!(A1 A2 A3 A4);
signatures!(A1 A2 A3 A4 A5);
