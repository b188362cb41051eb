//! Signing in with a key, and out.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;

use super::{
    App,
    auth::{Directory, Owner, Session, set_cookie},
    body::Object,
    masked::Masked,
    problem::{Code, Problem},
    schema::keys::{OpenSessionRequest, OpenedSession},
};

/// How long a session lasts: a working day.
pub(super) const LIFE: Duration = Duration::from_hours(12);

/// Sign in with a key.
///
/// For a browser: sets a cookie with which the requests that follow do what the key may do, for 12 hours at most, and no
/// longer than the key is one. A request that may change something needs the `csrfToken` in the header `Pgdial-Csrf` too.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::Unauthorized, Code::Forbidden, Code::TooManyAttempts]))),
    request_body(content = OpenSessionRequest),
    responses((status = 201, description = "Signed in.", body = OpenedSession, headers(("Set-Cookie" = String, description = "The session: HttpOnly, SameSite=Strict, and Secure unless the server was reached by a loopback name.")))),
)]
pub(super) async fn open_session(
    State(app): State<App>,
    Extension(directory): Extension<Directory>,
    headers: HeaderMap,
    Object(request): Object<OpenSessionRequest>,
) -> Result<Response, Problem> {
    let (owner, key_hash) = directory
        .sign_in(&headers, request.key.expose_secret())
        .await?;
    let opened = app
        .calls
        .open_session(owner.as_str(), &key_hash, LIFE, &owner.by())
        .await?;
    let secret = opened.secret.expose_secret();
    let body = OpenedSession {
        csrf_token: Some(Session::of(secret).token),
        key: owner.shown(),
    };
    let cookie = [(
        header::SET_COOKIE,
        set_cookie(&headers, secret, LIFE.as_secs()),
    )];
    Ok((StatusCode::CREATED, cookie, Json(body)).into_response())
}

/// Show the session.
///
/// Its token, and what its key may do.
#[utoipa::path(
    get, path = "/api/v1/session", tag = "operations",
    responses((status = 200, description = "The session of this request.", body = OpenedSession)),
)]
pub(super) async fn show_session(Extension(owner): Extension<Owner>) -> Response {
    let body = OpenedSession {
        csrf_token: owner.session().map(|session| session.token.clone()),
        key: owner.shown(),
    };
    // A token may have digits that look like a number.
    (Extension(Masked), Json(body)).into_response()
}

/// Sign out.
///
/// The session ends in every process at once, and the cookie is taken back.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "operations",
    responses((status = 204, description = "There is no session.")),
)]
pub(super) async fn end_session(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(session) = owner.session() {
        app.calls.end_session(&session.hash).await?;
    }
    let cookie = [(header::SET_COOKIE, set_cookie(&headers, "", 0))];
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}
