//! The OpenAPI document, generated from operations and types.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use utoipa::{
    OpenApi,
    openapi::{
        self, Content, Ref, RefOr, ResponseBuilder, Schema,
        example::ExampleBuilder,
        extensions::Extensions,
        path::Operation,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{
    api, operations,
    problem::{Code, Document},
    sign_in, without_key,
};

// Examples of bodies.
mod example;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pgdial",
        description = "Outbound AI calls from a queue in Postgres.\n\nSend an `Authorization: Bearer <key>` where the server has API keys. `x-scope` says which scope an operation needs of a key: `read`, `enqueue`, `operate` or `admin`, each of which includes those before it. `x-reach` says what it is about, for keys that are bound to campaigns: a `call` or the `campaign` in its path, campaigns that it has `named`, or `everything`, which is not for such keys. Errors are RFC 9457 problem documents; `code` is stable.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact(name = "The pgdial authors"),
    ),
    servers((url = "/", description = "The server that this document comes from.")),
    components(schemas(Document<'_>, crate::export::Format)),
    tags(
        (name = "calls", description = "Enqueue calls, and see what became of them."),
        (name = "webhooks", description = "What the provider tells us."),
        (name = "operations", description = "For those who run it."),
    ),
)]
struct Frame;

/// The whole document.
fn document() -> openapi::OpenApi {
    let mut document = Frame::openapi();
    document.merge(api().merge(sign_in()).merge(without_key()).document);
    let components = document.components.get_or_insert_default();
    let security = [
        (
            "apiKey",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        ),
        (
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("pgdial_session"))),
        ),
        (
            "signature",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("webhook-signature"))),
        ),
    ];
    for (name, scheme) in security {
        components
            .security_schemes
            .insert(name.to_owned(), RefOr::T(scheme));
    }
    let unmask = RefOr::T(operations::unmasking());
    components
        .parameters
        .insert(operations::UNMASKING.to_owned(), unmask);
    flatten(&mut components.schemas);
    let schemas = json!(components.schemas);
    let mut refused = BTreeSet::new();
    for operation in operations::each_operation(&mut document) {
        operation.security.get_or_insert_default();
        examples(operation, &schemas);
        refused.extend(refusals(operation));
    }
    let refused = refused.into_iter().map(|code| {
        let example = ExampleBuilder::new().value(Some(code.example()));
        (code.as_str().to_owned(), RefOr::T(example.build()))
    });
    let components = document.components.get_or_insert_default();
    components.examples.extend(refused);
    let codes = Code::ALL.iter().map(|code| {
        json!({"code": code.as_str(), "status": code.status().as_u16(), "title": code.title()})
    });
    let codes: Extensions = [(operations::CODES, codes.collect::<Vec<_>>())]
        .into_iter()
        .collect();
    document.extensions.get_or_insert_default().merge(codes);
    document
}

/// Merges the name and the changes of a new campaign, trunk or endpoint into one object; the derived schema has two,
/// each of which forbids the fields of the other.
fn flatten(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    for (name, changes) in [
        ("CreateCampaignRequest", "SetCampaignRequest"),
        ("CreateTrunkRequest", "SetTrunkRequest"),
        ("CreateEndpointRequest", "SetEndpointRequest"),
    ] {
        let Some(RefOr::T(Schema::Object(mut flat))) = schemas.get(changes).cloned() else {
            continue;
        };
        let Some(RefOr::T(Schema::AllOf(parts))) = schemas.get(name) else {
            continue;
        };
        for part in &parts.items {
            if let RefOr::T(Schema::Object(own)) = part {
                flat.properties.extend(own.properties.clone());
                flat.required.extend(own.required.clone());
            }
        }
        flat.description.clone_from(&parts.description);
        schemas.insert(name.to_owned(), RefOr::T(Schema::Object(flat)));
    }
}

/// Adds an example to every body without one.
fn examples(operation: &mut Operation, schemas: &Value) {
    let body = match &mut operation.request_body {
        Some(RefOr::T(body)) => Some(body.content.values_mut()),
        _ => None,
    };
    let responses = operation.responses.responses.values_mut();
    let answers = responses.filter_map(|response| match response {
        RefOr::T(response) => Some(response.content.values_mut()),
        RefOr::Ref(_) => None,
    });
    for content in body.into_iter().flatten().chain(answers.flatten()) {
        if let RefOr::T(content) = content
            && content.example.is_none()
        {
            content.example = example::example(&json!(content.schema), schemas);
        }
    }
}

/// Documents an operation's refusals as responses. Codes of one status share one.
fn refusals(operation: &mut Operation) -> Vec<Code> {
    let codes = operations::refusals(operation);
    let mut by_status: BTreeMap<_, Vec<Code>> = BTreeMap::new();
    for code in &codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    let responses = &mut operation.responses.responses;
    for (status, codes) in by_status {
        let lines = codes
            .iter()
            .map(|code| format!("`{}`: {}.", code.as_str(), code.title()));
        let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
        content.examples = codes
            .iter()
            .map(|code| {
                let example = Ref::new(format!("#/components/examples/{}", code.as_str()));
                (code.as_str().to_owned(), RefOr::Ref(example))
            })
            .collect();
        let response = ResponseBuilder::new()
            .description(lines.collect::<Vec<_>>().join(" "))
            .content("application/problem+json", content)
            .build();
        responses.insert(status.as_str().to_owned(), RefOr::T(response));
    }
    let headers = ResponseBuilder::new().description(
        "More than 64 headers, or more than 32 KiB of them. There is no document then.",
    );
    responses.insert("431".to_owned(), RefOr::T(headers.build()));
    codes
}

/// The document as text; constant while the process runs.
static TEXT: LazyLock<String> = LazyLock::new(|| document().to_pretty_json().unwrap_or_default());

/// Show this document.
///
/// It does not change while the server runs.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({"openapi": "3.1.0"}))),
)]
pub(super) async fn openapi() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, TEXT.as_str()).into_response()
}
