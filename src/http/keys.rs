//! Keys over HTTP.

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    body::{Object, OptionalObject},
    masked::Masked,
    path::{Name, Named},
    problem::{Code, Problem},
    query::Query,
    schema::keys::{CreateKeyRequest, Keys, NewKey, OwnKey, RevokeKeyResponse, RotateKeyRequest},
};
use crate::flow::view::Key;

impl Named for Key {
    const WHAT: &'static str = "key";
    const IS_UNKNOWN: Code = Code::NoSuchKey;
}

/// Show what this key may do.
///
/// The key of the request itself.
#[utoipa::path(
    get, path = "/api/v1/keys/own", tag = "operations",
    responses((status = 200, description = "Its name and rights.", body = OwnKey)),
)]
pub(super) async fn show_own_key(Extension(owner): Extension<Owner>) -> Json<OwnKey> {
    Json(owner.shown())
}

/// Filter of a list of keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyQuery {
    /// Also those that are revoked or expired. Default false.
    #[serde(default)]
    all: bool,
}

/// List the keys.
///
/// Those in the database, not those of the settings. None shows the key itself.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "operations",
    responses((status = 200, description = "By name, the newest of a name first.", body = Keys)),
)]
pub(super) async fn list_keys(
    State(app): State<App>,
    Query(query): Query<KeyQuery>,
) -> Result<Json<Keys>, Problem> {
    let keys = app.calls.keys(None, query.all).await?;
    Ok(Json(Keys { keys }))
}

/// Create a key.
///
/// The response shows the key, and nothing will again: only its hash is kept. Every process takes it within seconds.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::NameTaken]))),
    responses((status = 201, description = "The new key.", body = NewKey)),
)]
pub(super) async fn create_key(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<CreateKeyRequest>,
) -> Result<Response, Problem> {
    let (name, by) = (request.name.clone(), owner.by());
    let why = request.why.as_deref();
    let key = app
        .calls
        .create_key(&name, &request.key(), &by, why)
        .await?;
    let key = key.ok_or_else(|| {
        let detail = "a key of this name is in use: POST /api/v1/keys/{name}/rotate makes another";
        Problem::new(Code::NameTaken, detail)
    })?;
    Ok((StatusCode::CREATED, new(name, &key)).into_response())
}

/// Rotate a key.
///
/// Makes another key of the same name that may do the same for as long, and shows it once. The one before stays valid for
/// `keep`.
#[utoipa::path(
    post, path = "/api/v1/keys/{name}/rotate", tag = "operations",
    responses((status = 201, description = "The new key.", body = NewKey)),
)]
pub(super) async fn rotate_key(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Key>,
    OptionalObject(request): OptionalObject<RotateKeyRequest>,
) -> Result<Response, Problem> {
    let (by, why) = (owner.by(), request.why.as_deref());
    let key = app.calls.rotate_key(&name, &request.keep, &by, why).await?;
    let key = key.ok_or_else(no_such_key)?;
    Ok((StatusCode::CREATED, new(name, &key)).into_response())
}

/// Revoke a key.
///
/// All keys of the name end, in every process within seconds: also streams that they have opened. Keys of the settings
/// end where they are set.
#[utoipa::path(
    post, path = "/api/v1/keys/{name}/revoke", tag = "operations",
    responses((status = 200, description = "No key of this name is taken.", body = RevokeKeyResponse)),
)]
pub(super) async fn revoke_key(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Key>,
    OptionalObject(request): OptionalObject<super::schema::acting::OptionalReasonRequest>,
) -> Result<Json<RevokeKeyResponse>, Problem> {
    let (by, why) = (owner.by(), request.why.as_deref());
    match app.calls.revoke_key(&name, &by, why).await? {
        0 => Err(no_such_key()),
        revoked => Ok(Json(RevokeKeyResponse { revoked })),
    }
}

pub(super) fn no_such_key() -> Problem {
    Problem::new(
        Code::NoSuchKey,
        "no key of this name is in use: GET /api/v1/keys shows those there are",
    )
}

/// It is all there is to see, and has digits that are no number.
fn new(name: String, key: &SecretString) -> impl IntoResponse {
    let key = key.expose_secret().to_owned();
    (Extension(Masked), Json(NewKey { name, key }))
}
