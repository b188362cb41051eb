//! Forms, and the token that they carry.
//!
//! A form of a session carries the token of [`Session`](super::super::auth::Session) in a hidden field. [`token`] reads
//! the form once, before the guard, and shows it the token where scripts put it: in the header.

use axum::{
    body::Body,
    extract::{FromRequestParts, Request},
    http::{HeaderValue, header, request::Parts},
    middleware::Next,
    response::Response,
};

use super::super::{
    App,
    auth::CSRF,
    body,
    problem::{Code, Problem},
};

/// Name of the field with the token.
pub(super) const TOKEN: &str = "csrf";
const KIND: &str = "application/x-www-form-urlencoded";
/// Limit of a form, in bytes.
const LARGEST: usize = 256 * 1024;

/// The fields of a form.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Form(Vec<(String, String)>);

impl Form {
    /// The value of this field, unless it is blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        let value = named.next().map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// Whether the form has this field, blank or not: an unchecked box is not sent.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

impl FromRequestParts<App> for Form {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Layer that reads the form of a request, and passes its token on to the guard.
pub(super) async fn token(mut request: Request, next: Next) -> Result<Response, Problem> {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == KIND.as_bytes());
    if request.method().is_safe() || !is_form {
        return Ok(next.run(request).await);
    }
    let (parts, content) = request.into_parts();
    let read = Request::from_parts(parts.clone(), content);
    let text = body::read(read, LARGEST, ": a form of this page is smaller").await?;
    let fields: Vec<(String, String)> = form_urlencoded::parse(&text).into_owned().collect();
    if fields
        .iter()
        .any(|(name, value)| name.contains('\0') || value.contains('\0'))
    {
        let words = "a field contains the character U+0000, which cannot be stored: remove it";
        return Err(Problem::new(Code::InvalidRequest, words));
    }
    let form = Form(fields);
    request = Request::from_parts(parts, Body::empty());
    if let Some(token) = form
        .get(TOKEN)
        .and_then(|token| HeaderValue::from_str(token).ok())
    {
        request.headers_mut().insert(CSRF, token);
    }
    request.extensions_mut().insert(form);
    Ok(next.run(request).await)
}
