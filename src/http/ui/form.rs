//! Forms, and the token that they carry.
//!
//! A form of a session carries the token of [`Session`](super::super::auth::Session) in a hidden field. [`token`] reads
//! the form once, before the guard, and shows it the token where scripts put it: in the header. Of a form with a file
//! ([`Uploaded`]) it reads the token alone, which comes first: nobody unknown makes us keep a file.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request},
    http::{HeaderValue, header, request::Parts},
    middleware::Next,
    response::Response,
};
use multer::{Constraints, Multipart, SizeLimit};
use tokio::time::timeout;

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
/// Limit of a form with a file, in bytes.
const LARGEST_UPLOAD: u64 = 9 * 1024 * 1024;
/// Limit of one of its fields.
const LARGEST_LIST: usize = 4 * 1024 * 1024;
/// Limit of its token.
const LARGEST_TOKEN: u64 = 256;
/// Fields of it at most.
const MOST_FIELDS: usize = 2000;
/// Limit for a form with a file to arrive.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The fields of a form.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Form(Vec<(String, String)>);

impl Form {
    /// A form with one field filled in.
    pub(in crate::http) fn with(name: &str, value: &str) -> Self {
        Self(vec![(name.to_owned(), value.to_owned())])
    }

    fn of(fields: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut all = fields.iter();
        if all.any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            let words = "a field contains the character U+0000, which cannot be stored: remove it";
            return Err(Problem::new(Code::InvalidRequest, words));
        }
        Ok(Self(fields))
    }

    /// The value of this field, unless it is blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        let value = named.next().map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// The value of this field as it was sent.
    pub(super) fn whole(&self, name: &str) -> &str {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        named.next().map_or("", |(_, value)| value)
    }

    /// Every field.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
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
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    if let Some(boundary) = boundary(&request) {
        return Ok(next.run(with_file(request, boundary).await?).await);
    }
    if !is_form {
        return Ok(next.run(request).await);
    }
    let (parts, content) = request.into_parts();
    let read = Request::from_parts(parts.clone(), content);
    let text = body::read(read, LARGEST, ": a form of this page is smaller").await?;
    let fields: Vec<(String, String)> = form_urlencoded::parse(&text).into_owned().collect();
    let form = Form::of(fields)?;
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

fn boundary(request: &Request) -> Option<String> {
    let kind = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    multer::parse_boundary(kind).ok()
}

/// Reads the token of a form with a file, and leaves the rest for whoever is let in.
async fn with_file(mut request: Request, boundary: String) -> Result<Request, Problem> {
    let body = std::mem::replace(request.body_mut(), Body::empty());
    let sizes = SizeLimit::new()
        .whole_stream(LARGEST_UPLOAD)
        .for_field(TOKEN, LARGEST_TOKEN);
    let constraints = Constraints::new().size_limit(sizes);
    let mut fields = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let token = timeout(TIME_LIMIT, async {
        match fields.next_field().await? {
            Some(field) if field.name() == Some(TOKEN) => field.text().await,
            _ => Ok(String::new()),
        }
    });
    let token = token
        .await
        .map_err(|_elapsed| body::too_slow())?
        .map_err(unreadable)?;
    if let Ok(token) = HeaderValue::from_str(&token) {
        request.headers_mut().insert(CSRF, token);
    }
    request
        .extensions_mut()
        .insert(Uploaded(Arc::new(Mutex::new(Some(fields)))));
    Ok(request)
}

fn unreadable(error: multer::Error) -> Problem {
    match error {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            too_large()
        }
        other => Problem::new(
            Code::BodyUnreadable,
            "the form ended before its end, or is not one of this page: send it again",
        )
        .cause(other),
    }
}

fn too_large() -> Problem {
    let words =
        "a list here has at most 4 MiB: split it, or use `pgdial import`, which takes any size";
    Problem::new(Code::BodyTooLarge, words)
}

/// A form with a file, of which nothing but the token has been read.
#[derive(Clone)]
pub(in crate::http) struct Uploaded(Arc<Mutex<Option<Multipart<'static>>>>);

impl Uploaded {
    /// Its fields, and what is in its file.
    pub(super) async fn read(self) -> Result<(Form, Option<Vec<u8>>), Problem> {
        let fields = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fields = fields.ok_or_else(Problem::internal)?;
        let read = timeout(TIME_LIMIT, all(fields)).await;
        read.map_err(|_elapsed| body::too_slow())?
    }
}

async fn all(mut fields: Multipart<'static>) -> Result<(Form, Option<Vec<u8>>), Problem> {
    let (mut texts, mut file) = (Vec::new(), None);
    while let Some(field) = fields.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        let is_file = field.file_name().is_some();
        let bytes = field.bytes().await.map_err(unreadable)?;
        if bytes.len() > LARGEST_LIST {
            return Err(too_large());
        }
        if is_file {
            file = Some(bytes.to_vec());
        } else if let (Ok(text), true) =
            (String::from_utf8(bytes.to_vec()), texts.len() < MOST_FIELDS)
        {
            texts.push((name, text));
        } else {
            let words = "a field is not UTF-8, or there are too many of them";
            return Err(Problem::new(Code::InvalidRequest, words));
        }
    }
    Ok((Form::of(texts)?, file))
}

impl FromRequestParts<App> for Uploaded {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| {
            let words = "this takes the form of the page: multipart/form-data";
            Problem::new(Code::UnsupportedMediaType, words)
        })
    }
}
