//! What an operation needs of a key, and the layer that checks it.
//!
//! [`Access`] stands beside the handler in the list of operations. From it come the check and what the document
//! says of it (`x-scope`, `x-reach`), so neither can be forgotten without the other.

use axum::{
    RequestPartsExt,
    extract::{RawPathParams, Request, State},
    http::{HeaderName, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use strum::IntoStaticStr;

use super::{
    super::{
        masked,
        problem::{Code, Problem},
    },
    Directory, Owner,
};
use crate::domain::{CallId, Scope, Sight, Why};

/// What an operation needs of a key.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Access {
    pub(in crate::http) scope: Scope,
    pub(in crate::http) reach: Reach,
    pub(in crate::http) door: Door,
}

/// Which way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Door {
    /// The API.
    Api,
    /// The page, which people on the server's own host may see without a key where that is set.
    Page,
}

/// What an operation is about, for keys that are bound to campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(in crate::http) enum Reach {
    /// The call that the path names, and so its campaign.
    Call,
    /// The campaign that the path names.
    Campaign,
    /// Campaigns that the query or the body names, as the handler checks, or else only what belongs to those of the
    /// key.
    Named,
    /// More than campaigns: not for keys that are bound to some.
    Everything,
}

impl Reach {
    /// The reach as in the document.
    pub(in crate::http) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Codes that the guard refuses requests with.
pub(in crate::http) const REFUSES: &[Code] = &[
    Code::Unauthorized,
    Code::Forbidden,
    Code::InvalidRequest,
    Code::Unavailable,
];

/// Header with the reason to show numbers whole.
const UNMASK: HeaderName = HeaderName::from_static("pgdial-unmask");

/// Layer over one operation: only a key that may do it gets through, and sees what it may see.
pub(in crate::http) async fn guard(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    // Without a directory nobody is let in.
    let directory = parts.extensions.get::<Directory>().cloned();
    let directory = directory.ok_or_else(Problem::internal)?;
    let mut owner = directory.owner(&parts.headers, access.door).await?;
    let made_by_us = owner.session().map_or(Ok(()), |session| {
        session.permits(&parts.method, &parts.headers)
    });
    let admitted = match made_by_us {
        Ok(()) => admit(&directory, &owner, access, &mut parts).await,
        Err(refusal) => Err(refusal),
    };
    let whole = match admitted {
        Ok(()) => unmask(&directory, &owner, &parts).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = match whole {
        Ok(whole) => {
            owner.sees_whole = whole;
            parts.extensions.insert(owner.clone());
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => {
            if problem.code() == Code::Forbidden {
                directory.calls().metrics().key_refused("forbidden");
            }
            problem.into_response()
        }
    };
    let is_masked = owner.is_masked();
    // For the menu above a problem that is shown in its place.
    response.extensions_mut().insert(owner);
    if is_masked {
        masked::response(response).await
    } else {
        Ok(response)
    }
}

async fn admit(
    directory: &Directory,
    owner: &Owner,
    Access { scope, reach, .. }: Access,
    parts: &mut Parts,
) -> Result<(), Problem> {
    let name = owner.as_str();
    if !owner.scope().includes(scope) {
        let (needed, has) = (scope.as_str(), owner.scope().as_str());
        let detail = format!(
            "this needs a key with the scope \"{needed}\", and the key \"{name}\" has \"{has}\""
        );
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let Some(campaigns) = owner.campaigns() else {
        return Ok(());
    };
    match reach {
        Reach::Named => Ok(()),
        Reach::Everything => {
            let campaigns = campaigns.join(", ");
            let detail = format!(
                "this is about more than one campaign, and the key \"{name}\" is bound to some ({campaigns}): \
                 use a key that is not"
            );
            Err(Problem::new(Code::Forbidden, detail))
        }
        Reach::Campaign => match path(parts, "name").await {
            Some(campaign) => owner.needs(&campaign),
            None => Ok(()), // the handler says what is wrong with it
        },
        Reach::Call => {
            let id = path(parts, "id").await.and_then(|id| id.parse().ok());
            let Some(id) = id else {
                return Ok(()); // the same
            };
            let campaign = directory.calls().campaign_of(CallId(id)).await?;
            // As if there were none: whose it is, is not for this key to know.
            let is_its = campaign.is_some_and(|campaign| owner.has(&campaign));
            is_its.then_some(()).ok_or_else(Problem::no_such_call)
        }
    }
}

async fn path(parts: &mut Parts, name: &str) -> Option<String> {
    let all = parts.extract::<RawPathParams>().await.ok()?;
    let mut named = all.iter().filter(|(known, _)| *known == name);
    named.next().map(|(_, value)| value.to_owned())
}

/// Whether this request sees numbers whole: always, or because it gives a reason and may. The reason is kept before
/// anything is shown.
async fn unmask(directory: &Directory, owner: &Owner, parts: &Parts) -> Result<bool, Problem> {
    let Some(reason) = reason(parts)? else {
        return Ok(owner.numbers() == Sight::Whole);
    };
    match owner.numbers() {
        Sight::Whole => Ok(true),
        Sight::Masked => {
            let name = owner.as_str();
            let detail = format!("the key \"{name}\" may not see numbers, whatever the reason");
            Err(Problem::new(Code::Forbidden, detail))
        }
        Sight::OnRequest => {
            // Without the query, which may hold a number.
            let request = json!({ "method": parts.method.as_str(), "path": parts.uri.path() });
            let calls = directory.calls();
            calls
                .note_unmasking(owner.as_str(), &request, &owner.by(), &reason)
                .await?;
            Ok(true)
        }
    }
}

fn reason(parts: &Parts) -> Result<Option<Why>, Problem> {
    let mut values = parts.headers.get_all(&UNMASK).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let why = value.to_str().ok().and_then(|text| text.parse().ok());
    match (why, values.next()) {
        (Some(why), None) => Ok(Some(why)),
        _ => Err(Problem::new(
            Code::InvalidRequest,
            "send one Pgdial-Unmask header: a reason of 1 to 500 characters, in ASCII",
        )),
    }
}
