//! What campaigns and trunks have in common over HTTP.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    problem::{Code, Problem},
    schema::acting::{OptionalReasonRequest, ReasonRequest},
    versions::{IfMatch, Tagged, changed_meanwhile, tagged},
};
use crate::flow::{
    Error,
    archive::{Removal, Removed},
    groups::GroupKind,
    version::{Conditional, Versioned},
    view::{Campaign, Trunk},
};

/// A campaign or a trunk as the API shows it.
pub(super) trait Group: Serialize + Sized {
    const KIND: GroupKind;
    const VERSIONED: Versioned;
    const IS_UNKNOWN: Code;

    async fn all(app: &App, name: Option<&str>) -> Result<Vec<Self>, Error>;
}

impl Group for Campaign {
    const KIND: GroupKind = GroupKind::Campaign;
    const VERSIONED: Versioned = Versioned::Campaign;
    const IS_UNKNOWN: Code = Code::NoSuchCampaign;

    async fn all(app: &App, name: Option<&str>) -> Result<Vec<Self>, Error> {
        app.calls.campaigns(name).await
    }
}

impl Group for Trunk {
    const KIND: GroupKind = GroupKind::Trunk;
    const VERSIONED: Versioned = Versioned::Trunk;
    const IS_UNKNOWN: Code = Code::NoSuchTrunk;

    async fn all(app: &App, name: Option<&str>) -> Result<Vec<Self>, Error> {
        app.calls.trunks(name).await
    }
}

pub(super) async fn show<L: Group>(app: &App, name: &str) -> Result<Json<L>, Problem> {
    let groups = L::all(app, Some(name)).await?;
    let group = groups.into_iter().next();
    group.map(Json).ok_or_else(no_such::<L>)
}

/// The same with its version.
pub(super) async fn show_tagged<L: Group>(app: &App, name: &str) -> Result<Tagged<L>, Problem> {
    let group = async { show(app, name).await.map(|Json(group)| group) };
    tagged(app, (L::VERSIONED, name), group).await
}

pub(super) fn no_such<L: Group>() -> Problem {
    let kind = L::KIND;
    let detail = format!("no {kind} has this name: GET /api/v1/{kind}s shows those there are");
    Problem::new(L::IS_UNKNOWN, detail)
}

pub(super) async fn create<L: Group>(
    app: &App,
    owner: &Owner,
    mut changes: Value,
) -> Result<Response, Problem> {
    let why = take(&mut changes, "why");
    let name = take(&mut changes, "name").unwrap_or_default();
    let (kind, by, why) = (L::KIND, owner.by(), why.as_deref());
    let made = app
        .calls
        .create_group(kind, &name, &changes, &by, why)
        .await?;
    if !made {
        let detail = format!("there is a {kind} of this name already: PATCH changes it");
        return Err(Problem::new(Code::NameTaken, detail));
    }
    let location = [(header::LOCATION, format!("/api/v1/{kind}s/{name}"))];
    let group = show::<L>(app, &name).await?;
    Ok((StatusCode::CREATED, location, group).into_response())
}

pub(super) async fn change<L: Group>(
    app: &App,
    owner: &Owner,
    name: &str,
    (mut changes, IfMatch(versions)): (Value, IfMatch),
) -> Result<Tagged<L>, Problem> {
    let why = take(&mut changes, "why");
    needed_change(&changes)?;
    let (by, why) = (owner.by(), why.as_deref());
    let is_set = match versions {
        None => {
            app.calls
                .set_group(L::KIND, name, &changes, &by, why)
                .await?
        }
        Some(versions) => {
            set_if_unchanged(app, (L::VERSIONED, name), &versions, &changes, (&by, why)).await?
        }
    };
    if !is_set {
        return Err(no_such::<L>());
    }
    show_tagged(app, name).await
}

/// Changes what still has one of these versions; false if there is nothing of this name.
pub(super) async fn set_if_unchanged(
    app: &App,
    (of, name): (Versioned, &str),
    versions: &[String],
    changes: &Value,
    audit: (&str, Option<&str>),
) -> Result<bool, Problem> {
    let set = app
        .calls
        .set_if_unchanged(of, name, versions, changes, audit);
    match set.await? {
        Conditional::Set => Ok(true),
        Conditional::NotFound => Ok(false),
        Conditional::Changed => Err(changed_meanwhile()),
    }
}

pub(super) fn needed_change(changes: &Value) -> Result<(), Problem> {
    if changes.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Problem::new(
            Code::InvalidRequest,
            "nothing to change was given",
        ));
    }
    Ok(())
}

/// Takes out a field that is not a column. One that is not a text stays, and the database refuses it.
pub(super) fn take(changes: &mut Value, name: &str) -> Option<String> {
    let fields = changes.as_object_mut()?;
    match fields.remove(name)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => {
            fields.insert(name.to_owned(), other);
            None
        }
    }
}

pub(super) async fn pause<L: Group>(
    app: &App,
    owner: &Owner,
    name: &str,
    ReasonRequest { why }: &ReasonRequest,
) -> Result<Json<L>, Problem> {
    if !app.calls.pause(L::KIND, name, &owner.by(), why).await? {
        return Err(no_such::<L>());
    }
    show(app, name).await
}

pub(super) async fn resume<L: Group>(
    app: &App,
    owner: &Owner,
    name: &str,
    OptionalReasonRequest { why }: &OptionalReasonRequest,
) -> Result<Json<L>, Problem> {
    let (by, why) = (owner.by(), why.as_deref());
    if !app.calls.resume(L::KIND, name, &by, why).await? {
        return Err(no_such::<L>());
    }
    show(app, name).await
}

/// Which of them a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupQuery {
    /// True: also those that are archived. Default false.
    #[serde(default)]
    pub(super) archived: bool,
}

/// Archives, unarchives or deletes it.
pub(super) async fn remove<L: Group>(
    app: &App,
    owner: &Owner,
    name: &str,
    (removal, why): (Removal, Option<&str>),
) -> Result<(), Problem> {
    let by = owner.by();
    let removed = app.calls.remove_group(removal, L::KIND, name, &by, why);
    match removed.await? {
        Removed::Done => Ok(()),
        Removed::NotFound => Err(no_such::<L>()),
        Removed::InUse(by) => {
            let (kind, by) = (L::KIND, by.join(", "));
            let detail = match removal {
                Removal::Archive => {
                    format!("the {kind} has {by}: cancel, wait for or move them first")
                }
                Removal::Unarchive => format!("the {kind} needs {by}: unarchive that first"),
                Removal::Delete => {
                    format!("the {kind} has {by}: archive it instead, or remove them first")
                }
            };
            Err(Problem::new(Code::InUse, detail))
        }
    }
}
