//! The OpenAPI document, generated from the handlers and the types.
//!
//! What an operation may refuse stands in one table here, by operation, and is written
//! into the document with the meaning of each code; a test asks every operation of the
//! document for real, another compares the whole with a committed copy.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, Ref, RefOr, ResponseBuilder, Schema,
        extensions::Extensions,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    acts, batch, call_webhooks, callbacks, calls, campaigns, events, health, listing, matching,
    metrics, numbers,
    problem::{Code, Document, Fault},
    trunks, workers,
};
use crate::flow::events::Heartbeat;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pgdial",
        description = "Outbound AI calls from a queue in Postgres.\n\nSend an `Authorization: Bearer <key>` where the server has API keys. Errors are RFC 9457 problem documents; `code` is stable. (Headers of more than 32 KiB, or more than 64 of them, are answered 431 without a document.)",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        calls::create_call, batch::create_calls, listing::list_calls, calls::show_call,
        calls::amend_call, calls::cancel_call, calls::redrive_call, calls::resolve_call,
        calls::why_call, call_webhooks::call_webhooks,
        matching::cancel_calls, matching::redrive_calls, matching::resolve_calls, matching::export_calls,
        campaigns::list_campaigns, campaigns::create_campaign, campaigns::show_campaign,
        campaigns::change_campaign, campaigns::pause_campaign, campaigns::resume_campaign,
        trunks::list_trunks, trunks::create_trunk, trunks::show_trunk,
        trunks::change_trunk, trunks::pause_trunk, trunks::resume_trunk,
        workers::list_workers, workers::drain_worker, acts::list_acts,
        numbers::forget_number, numbers::list_do_not_call, numbers::add_do_not_call,
        numbers::remove_do_not_call,
        calls::stats, events::events, callbacks::call_status, callbacks::dial_status, health::healthz, health::readyz,
        metrics::metrics, openapi,
    ),
    components(schemas(Document<'_>, Fault<'_>, crate::export::Format, Heartbeat)),
    tags(
        (name = "calls", description = "Enqueue calls, and see what became of them."),
        (name = "webhooks", description = "What the provider tells us."),
        (name = "operations", description = "For those who run it."),
    ),
    modifiers(&Refusals, &Flat),
)]
struct Api;

/// A new campaign or trunk is its name and its changes: one object, where the derived schema says
/// two, each of which forbids the fields of the other.
struct Flat;

impl Modify for Flat {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let Some(components) = &mut document.components else {
            return;
        };
        for (name, changes) in [
            ("CreateCampaignRequest", "SetCampaignRequest"),
            ("CreateTrunkRequest", "SetTrunkRequest"),
        ] {
            let Some(RefOr::T(Schema::Object(mut flat))) = components.schemas.get(changes).cloned()
            else {
                continue;
            };
            let Some(RefOr::T(Schema::AllOf(parts))) = components.schemas.get(name) else {
                continue;
            };
            for part in &parts.items {
                if let RefOr::T(Schema::Object(own)) = part {
                    flat.properties.extend(own.properties.clone());
                    flat.required.extend(own.required.clone());
                }
            }
            flat.description.clone_from(&parts.description);
            let flat = RefOr::T(Schema::Object(flat));
            components.schemas.insert(name.to_owned(), flat);
        }
    }
}

/// What a webhook's handler may refuse.
const WEBHOOK: &[Code] = &[
    Code::BodyUnreadable,
    Code::WebhookRejected,
    Code::BodyTooSlow,
    Code::BodyTooLarge,
    Code::NoRoom,
    Code::Unavailable,
];

/// What each operation may refuse, besides `internal` and `timed_out`, which all may.
const REFUSALS: [(&str, &[Code]); 41] = {
    use Code as C;
    [
        (
            "create_call",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::BodyTooSlow,
                C::IdempotencyKeyLocked,
                C::BodyTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::IdempotencyKeyReused,
                C::Suppressed,
                C::UnknownCampaign,
                C::Unavailable,
            ],
        ),
        (
            "create_calls",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::BodyTooSlow,
                C::BodyTooLarge,
                C::BatchTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::Unavailable,
            ],
        ),
        (
            "list_calls",
            &[C::Unauthorized, C::InvalidQuery, C::Unavailable],
        ),
        (
            "show_call",
            &[C::Unauthorized, C::NotFound, C::InvalidId, C::Unavailable],
        ),
        (
            "amend_call",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::NotFound,
                C::BodyTooSlow,
                C::Locked,
                C::NotWaiting,
                C::BodyTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::InvalidId,
                C::Unavailable,
            ],
        ),
        (
            "cancel_call",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::NotFound,
                C::BodyTooSlow,
                C::Locked,
                C::AlreadyOver,
                C::BodyTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::InvalidId,
                C::Unavailable,
            ],
        ),
        (
            "redrive_call",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::NotFound,
                C::BodyTooSlow,
                C::Locked,
                C::NotOver,
                C::NeedsForce,
                C::Held,
                C::BodyTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::InvalidId,
                C::Unavailable,
            ],
        ),
        (
            "call_webhooks",
            &[
                C::Unauthorized,
                C::NotFound,
                C::InvalidId,
                C::InvalidQuery,
                C::Unavailable,
            ],
        ),
        (
            "resolve_call",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::NotFound,
                C::BodyTooSlow,
                C::Locked,
                C::NotInDoubt,
                C::BodyTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::InvalidId,
                C::Unavailable,
            ],
        ),
        (
            "why_call",
            &[C::Unauthorized, C::NotFound, C::InvalidId, C::Unavailable],
        ),
        ("cancel_calls", WITH_BODY),
        ("redrive_calls", WITH_BODY),
        ("resolve_calls", WITH_BODY),
        (
            "export_calls",
            &[C::Unauthorized, C::InvalidQuery, C::Unavailable],
        ),
        ("list_campaigns", &[C::Unauthorized, C::Unavailable]),
        ("create_campaign", CREATE),
        ("show_campaign", SHOW_CAMPAIGN),
        ("change_campaign", CHANGE_CAMPAIGN),
        ("pause_campaign", CHANGE_CAMPAIGN),
        ("resume_campaign", CHANGE_CAMPAIGN),
        ("list_trunks", &[C::Unauthorized, C::Unavailable]),
        ("create_trunk", CREATE),
        ("show_trunk", SHOW_TRUNK),
        ("change_trunk", CHANGE_TRUNK),
        ("pause_trunk", CHANGE_TRUNK),
        ("resume_trunk", CHANGE_TRUNK),
        ("list_workers", &[C::Unauthorized, C::Unavailable]),
        (
            "drain_worker",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::NoSuchWorker,
                C::BodyTooSlow,
                C::BodyTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::InvalidId,
                C::Unavailable,
            ],
        ),
        (
            "list_acts",
            &[C::Unauthorized, C::InvalidQuery, C::Unavailable],
        ),
        (
            "forget_number",
            &[
                C::MalformedJson,
                C::BodyUnreadable,
                C::Unauthorized,
                C::BodyTooSlow,
                C::Locked,
                C::Held,
                C::InFlight,
                C::KeyNeeded,
                C::BodyTooLarge,
                C::UnsupportedMediaType,
                C::InvalidRequest,
                C::Unavailable,
            ],
        ),
        (
            "list_do_not_call",
            &[C::Unauthorized, C::InvalidQuery, C::Unavailable],
        ),
        ("add_do_not_call", WITH_BODY),
        ("remove_do_not_call", WITH_BODY),
        ("stats", &[C::Unauthorized, C::Unavailable]),
        (
            "events",
            &[
                C::Unauthorized,
                C::CursorGone,
                C::InvalidQuery,
                C::TooManyStreams,
                C::Unavailable,
            ],
        ),
        ("call_status", WEBHOOK),
        ("dial_status", WEBHOOK),
        ("healthz", &[]),
        ("readyz", &[C::Unavailable]),
        ("metrics", &[]),
        ("openapi", &[]),
    ]
};

/// Of an operation that takes a body and says nothing else.
const WITH_BODY: &[Code] = &[
    Code::MalformedJson,
    Code::BodyUnreadable,
    Code::Unauthorized,
    Code::BodyTooSlow,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::Unavailable,
];

const CREATE: &[Code] = &[
    Code::MalformedJson,
    Code::BodyUnreadable,
    Code::Unauthorized,
    Code::BodyTooSlow,
    Code::NameTaken,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::UnknownTrunk,
    Code::Unavailable,
];

const SHOW_CAMPAIGN: &[Code] = &[
    Code::Unauthorized,
    Code::NoSuchCampaign,
    Code::InvalidId,
    Code::Unavailable,
];

const CHANGE_CAMPAIGN: &[Code] = &[
    Code::MalformedJson,
    Code::BodyUnreadable,
    Code::Unauthorized,
    Code::NoSuchCampaign,
    Code::BodyTooSlow,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::InvalidId,
    Code::UnknownTrunk,
    Code::Unavailable,
];

const SHOW_TRUNK: &[Code] = &[
    Code::Unauthorized,
    Code::NoSuchTrunk,
    Code::InvalidId,
    Code::Unavailable,
];

const CHANGE_TRUNK: &[Code] = &[
    Code::MalformedJson,
    Code::BodyUnreadable,
    Code::Unauthorized,
    Code::NoSuchTrunk,
    Code::BodyTooSlow,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::InvalidId,
    Code::Unavailable,
];

/// Writes the refusals, and who needs a key, into every operation.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = api.components.get_or_insert_default();
        components
            .security_schemes
            .insert("apiKey".to_owned(), RefOr::T(bearer));
        for operation in api.paths.paths.values_mut().flat_map(operations) {
            let id = operation.operation_id.clone().unwrap_or_default();
            let own = REFUSALS
                .iter()
                .find(|row| row.0 == id)
                .map_or(&[][..], |row| row.1);
            let all = own.iter().copied().chain([Code::Internal, Code::TimedOut]);
            document(operation, all);
            if own.contains(&Code::Unauthorized) {
                let key = SecurityRequirement::new("apiKey", [""; 0]);
                // An empty requirement beside it: a server without keys asks for none.
                operation.security = Some(vec![key, SecurityRequirement::default()]);
            }
        }
        let codes: Vec<_> = Code::ALL
            .iter()
            .map(|code| {
                json!({"code": code.as_str(), "status": code.status().as_u16(), "title": code.title()})
            })
            .collect();
        let codes = Extensions::builder().add("x-problem-codes", codes).build();
        api.extensions.get_or_insert_default().merge(codes);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// Codes of one status share a response.
fn document(operation: &mut Operation, codes: impl Iterator<Item = Code>) {
    let mut by_status: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for code in codes {
        let line = format!("`{}`: {}.", code.as_str(), code.title());
        by_status
            .entry(code.status().as_str().to_owned())
            .or_default()
            .push(line);
    }
    for (status, lines) in by_status {
        let schema = Ref::from_schema_name("Problem");
        let response = ResponseBuilder::new()
            .description(lines.join(" "))
            .content("application/problem+json", Content::new(Some(schema)))
            .build();
        operation
            .responses
            .responses
            .insert(status, RefOr::T(response));
    }
}

/// The document, as text. It does not change while the process runs.
static TEXT: LazyLock<String> =
    LazyLock::new(|| Api::openapi().to_pretty_json().unwrap_or_default());

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
pub(super) async fn openapi() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, TEXT.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_says_what_it_refuses() {
        let mut api = Api::openapi();
        let mut ids: Vec<_> = api
            .paths
            .paths
            .values_mut()
            .flat_map(operations)
            .map(|operation| operation.operation_id.clone().unwrap())
            .collect();
        let mut listed = REFUSALS.map(|row| row.0).to_vec();
        ids.sort();
        listed.sort_unstable();
        assert_eq!(ids, listed);
    }
}
