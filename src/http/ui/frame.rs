//! The document around each screen, and what a handler takes and answers with.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    super::{
        App,
        auth::Owner,
        masked::{self, Masked},
        problem::{Code, Problem},
    },
    assets,
    form::TOKEN,
};
use crate::domain::{Scope, Sight, Why};

/// Nothing but what this server serves, and no script or style inside a document.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Screens in the navigation, by their path below `/ui/`.
const SECTIONS: &[(&str, &str)] = &[
    ("", "Overview"),
    ("campaigns", "Campaigns"),
    ("trunks", "Trunks"),
    ("calls", "Calls"),
    ("failures", "Failures"),
    ("upload", "Upload a list"),
    ("do-not-call", "Do not call"),
    ("workers", "Workers"),
    ("acts", "Audit"),
    ("endpoints", "Endpoints"),
    ("keys", "Keys"),
];

/// What a screen's handler takes: the queue, who asks, and where it is.
pub(in crate::http) struct Frame {
    pub(super) app: App,
    pub(super) owner: Owner,
    /// Leads to `/ui/`: every link begins with it.
    pub(super) root: String,
    /// The path of this screen below `/ui/`.
    pub(super) path: String,
    /// What has just been done, if this screen follows an act.
    said: Option<String>,
    /// Whether this response may show numbers whole.
    sees_whole: bool,
}

impl FromRequestParts<App> for Frame {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let owner = parts.extensions.get::<Owner>().cloned();
        let path = parts.uri.path();
        let query = Query::read(&parts.uri)?;
        Ok(Self {
            app: app.clone(),
            owner: owner.ok_or_else(Problem::internal)?,
            root: root(path),
            path: path.trim_start_matches("/ui/").to_owned(),
            said: query.get("done").and_then(said),
            sees_whole: false,
        })
    }
}

/// From a path to `/ui/`, relatively.
pub(super) fn root(path: &str) -> String {
    let below = path.trim_start_matches("/ui/").matches('/').count();
    if below == 0 {
        "./".to_owned()
    } else {
        "../".repeat(below)
    }
}

/// The words for what has been done. Only known ones: a link of somebody else must not put words into our mouth.
fn said(done: &str) -> Option<String> {
    let (act, count) = done.split_once('-').unwrap_or((done, ""));
    let words = match act {
        "paused" => "It is paused. Calls in flight go on.",
        "resumed" => {
            "It is no longer paused, and dials from the next claim on, unless something else keeps it."
        }
        "created" => "It is there, and dials what is enqueued for it as soon as nothing keeps it.",
        "set" => "It is changed, from the next claim on.",
        "drained" => "The worker claims no more, and finishes its dials.",
        "canceled" => "Canceled.",
        "redriven" => "Put back into the queue.",
        "resolved" => "Resolved.",
        "amended" => "Changed.",
        "released" => "The number is released.",
        "listed" => "The number is on the do-not-call list.",
        "unlisted" => "The number is off the do-not-call list.",
        "forgotten" => "The number is forgotten.",
        "enqueued" => "Enqueued.",
        "tested" => "A test is on its way.",
        "silenced" => "Nothing more is sent to the endpoint.",
        "told" => "The endpoint is told again, first what has waited.",
        "deleted" => "The endpoint is gone.",
        "revoked" => "No key of this name is taken any more.",
        "rechecked" => "Calls that a contact limit had put aside are due again.",
        _ => return None,
    };
    Some(match count.parse::<u64>() {
        Ok(count) => format!("{words} Calls: {count}."),
        Err(_none) => words.to_owned(),
    })
}

impl Frame {
    /// A link to a path below `/ui/`.
    pub(super) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// A value as this response may show it. Numbers are masked even for those who may see them: a screen is seen by
    /// whoever passes by. [`Self::unmask`] says otherwise.
    pub(super) fn see<T: Serialize + DeserializeOwned>(&self, value: T) -> Result<T, Problem> {
        if self.sees_whole {
            return Ok(value);
        }
        let broken = |error: serde_json::Error| Problem::internal().cause(error);
        let mut shown = serde_json::to_value(value).map_err(broken)?;
        masked::mask(&mut shown);
        serde_json::from_value(shown).map_err(broken)
    }

    /// A text of somebody else as this response may show it.
    pub(super) fn see_text(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        if !self.sees_whole {
            masked::mask_text(&mut shown);
        }
        shown
    }

    /// Whether numbers are masked in this response.
    pub(super) const fn is_masked(&self) -> bool {
        !self.sees_whole
    }

    /// Shows numbers, metadata and what was said whole in this response, for whoever may see them. The reason is kept
    /// before anything is shown.
    pub(super) async fn unmask(&mut self, why: &Why) -> Result<(), Problem> {
        let name = self.owner.as_str();
        if self.owner.numbers() == Sight::Masked {
            let detail = format!("the key \"{name}\" may not see numbers, whatever the reason");
            return Err(Problem::new(Code::Forbidden, detail));
        }
        let request = json!({ "method": "POST", "path": format!("/ui/{}", self.path) });
        let calls = &self.app.calls;
        calls
            .note_unmasking(name, &request, &self.owner.by(), why)
            .await?;
        self.sees_whole = true;
        Ok(())
    }

    /// Whether the key may do what needs this scope.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.owner.scope().includes(scope)
    }

    /// The hidden field of every form that changes something.
    pub(super) fn token(&self) -> Markup {
        token(&self.owner)
    }

    /// The same for a form with a file, of which it has to be the first field.
    pub(super) fn first_token(&self) -> Markup {
        let session = self.owner.session();
        let token = session.map_or("", |session| session.token.as_str());
        html! { input type="hidden" name=(TOKEN) value=(token); }
    }

    /// A screen.
    pub(super) fn page(&self, title: &str, body: &Markup) -> Response {
        let said = html! {
            @if let Some(said) = &self.said { p.said role="status" { (said) } }
        };
        respond(&Document {
            root: &self.root,
            title,
            around: Around::known(&self.root, &self.path, &self.owner),
            said,
            body,
            // What was shown whole once is not read again.
            live: (!self.sees_whole).then(|| self.to("live")),
        })
    }
}

fn token(owner: &Owner) -> Markup {
    html! {
        @if let Some(session) = owner.session() {
            input type="hidden" name=(TOKEN) value=(session.token);
        }
    }
}

/// Whether a key may see the screen of this path.
fn leads_to(owner: &Owner, path: &str) -> bool {
    match path {
        "keys" => owner.scope().includes(Scope::Admin),
        "campaigns" | "calls" | "failures" | "upload" | "do-not-call" => true,
        _ => owner.campaigns().is_none(),
    }
}

/// What stands above every screen.
struct Around {
    header: Markup,
    navigation: Markup,
}

impl Around {
    /// For whoever is not signed in.
    fn unknown(root: &str) -> Self {
        Self {
            header: html! { a.brand href=(root) { span.jack aria-hidden="true" {} "pgdial" } },
            navigation: html! {},
        }
    }

    fn known(root: &str, path: &str, owner: &Owner) -> Self {
        let to = |path: &str| format!("{root}{path}");
        let top = path.split('/').next().unwrap_or_default();
        let navigation = html! {
            nav aria-label="Screens" {
                ul {
                    @for (path, name) in SECTIONS.iter().filter(|(path, _)| leads_to(owner, path)) {
                        li { a href=(to(path)) aria-current=[(*path == top).then_some("page")] { (name) } }
                    }
                }
            }
        };
        let own = owner.shown();
        let header = html! {
            (Self::unknown(root).header)
            form.find role="search" action=(to("calls")) {
                label.hidden for="q" { "Find a call" }
                input #q name="q" type="search" autocomplete="off" spellcheck="false"
                    placeholder="Number, id, provider's id, key, metadata";
                button { "Find" }
            }
            div.who {
                span { (own.name) " " span.soft { (own.scope.as_str()) } }
                @if owner.session().is_some() {
                    form method="post" action=(to("sign-out")) { (token(owner)) button.plain { "Sign out" } }
                }
            }
        };
        Self { header, navigation }
    }
}

/// A problem, as people read it. Whoever asked may be nobody, so it shows nothing of theirs.
/// `path`: the one asked for, below `/ui/`.
pub(super) fn problem(
    root: &str,
    path: &str,
    owner: Option<&Owner>,
    problem: &Problem,
    request_id: &str,
) -> Response {
    let title = problem.code().title();
    let body = html! {
        h1 { (title) }
        p.lead { (problem.detail()) }
        p.soft { "Request " code { (request_id) } }
        p { a href=(root) { "Overview" } " · " a href={ (root) "sign-in" } { "Sign in with another key" } }
    };
    let around = owner.map(|owner| Around::known(root, path, owner));
    still(root, title, around, &body)
}

/// A document without navigation, for whoever is not signed in.
pub(super) fn plain(root: &str, title: &str, body: &Markup) -> Response {
    still(root, title, None, body)
}

/// A document that does not follow what happens.
fn still(root: &str, title: &str, around: Option<Around>, body: &Markup) -> Response {
    respond(&Document {
        root,
        title,
        around: around.unwrap_or_else(|| Around::unknown(root)),
        said: html! {},
        body,
        live: None,
    })
}

struct Document<'a> {
    root: &'a str,
    title: &'a str,
    around: Around,
    said: Markup,
    body: &'a Markup,
    /// Where the script hears of changes.
    live: Option<String>,
}

fn respond(document: &Document<'_>) -> Response {
    let Document {
        root,
        title,
        around: Around { header, navigation },
        said,
        body,
        live,
    } = document;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · pgdial" }
                link rel="icon" href={ (root) "assets/" (assets::ICON.name) };
                link rel="stylesheet" href={ (root) "assets/" (assets::STYLE.name) };
                @if live.is_some() { script src={ (root) "assets/" (assets::SCRIPT.name) } defer {} }
            }
            body data-live=[live.as_deref()] {
                a.skip href="#main" { "Skip to the content" }
                header.top { (header) }
                (navigation)
                main #main tabindex="-1" { (said) (body) }
            }
        }
    };
    let headers: [(HeaderName, HeaderValue); 3] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        // Not no-referrer, with which a browser hides the origin of our own forms too.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (Extension(Masked), headers, markup).into_response()
}

/// The query of a screen. What it does not know it ignores: links are shortened and prolonged by other programs.
#[derive(Debug, Default)]
pub(in crate::http) struct Query(BTreeMap<String, String>);

impl Query {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let pairs: BTreeMap<String, String> = pairs.into_owned().collect();
        if pairs.values().any(|value| value.contains('\0')) {
            return Err(Problem::new(
                Code::InvalidQuery,
                "the query contains the character U+0000: remove it",
            ));
        }
        Ok(Self(pairs))
    }

    /// The value of this name, unless it is blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    }
}

impl FromRequestParts<App> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Self::read(&parts.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_back_to_the_root() {
        for (path, expected) in [
            ("/ui/", "./"),
            ("/ui/campaigns", "./"),
            ("/ui/campaigns/spring", "../"),
            ("/ui/campaigns/spring/pause", "../../"),
        ] {
            assert_eq!(root(path), expected, "{path}");
        }
    }

    #[test]
    fn only_known_words_are_said() {
        assert!(said("paused").is_some());
        assert!(said("canceled-12").unwrap().ends_with("Calls: 12."));
        assert_eq!(said("your account was charged"), None);
    }
}
