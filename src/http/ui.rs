//! The page: what operators see and do in a browser.
//!
//! Every screen is one handler that returns a whole HTML document: it needs no script to be read or to act. The
//! script (`ui/page.js`) only keeps what is marked as live up to date.
//!
//! All of it is below `/ui/`, apart from the API: whoever publishes the webhooks of a server through a proxy keeps the
//! page inside with one rule. Links are relative, so it works below any prefix that a proxy takes away.
//!
//! | file | what |
//! |---|---|
//! | `frame.rs` | the document around each screen; `Frame`, what a handler takes and answers with |
//! | `parts.rs` | the design system: tables, facts, badges, meters, times |
//! | `page.css`, `page.js`, `assets.rs` | its look; what stays up to date by itself |
//! | `standing.rs` | how campaigns and trunks stand: what keeps each, judged once and shown by every screen |
//! | `asking.rs`, `twins.rs` | acts: what they touch, their reason, and the same as command and SQL |
//! | `form.rs` | forms, and the token that they carry |
//! | the others | a screen each |

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodFilter, get, on},
};

use super::{
    App,
    auth::{self, Access, Directory, Door, Owner, Reach},
    problem::{Code, Problem},
};
use crate::domain::Scope;

mod asking;
mod assets;
mod chart;
mod form;
mod frame;
mod kept;
pub(super) mod live;
mod parts;
mod standing;
mod twins;
mod when;

// Screens.
pub(super) mod audit;
pub(super) mod call;
pub(super) mod calls;
pub(super) mod campaigns;
pub(super) mod do_not_call;
pub(super) mod endpoints;
pub(super) mod failures;
pub(super) mod groups;
pub(super) mod keys;
pub(super) mod many;
pub(super) mod overview;
pub(super) mod sign_in;
pub(super) mod trunks;
pub(super) mod upload;
pub(super) mod workers;

pub(super) use self::kept::Kept;

/// Collects screens into [`Screens`]: method, scope, what it is about, path, handler.
macro_rules! screens {
    ($($method:ident $scope:ident $reach:ident $path:literal $handler:path),* $(,)?) => {{
        let mut screens = $crate::http::ui::Screens::default();
        $(
            let access = $crate::http::auth::Access {
                scope: $crate::domain::Scope::$scope,
                reach: $crate::http::auth::Reach::$reach,
                door: $crate::http::auth::Door::Page,
            };
            screens.add(axum::routing::MethodFilter::$method, $path, $handler, access);
        )*
        screens
    }};
}
pub(super) use screens;

/// Screens with their routes.
#[derive(Default)]
pub(super) struct Screens {
    router: Router<App>,
    list: Vec<Screen>,
}

/// What a screen needs of a key.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path, as axum writes it.
    pub path: &'static str,
    /// The scope that it needs.
    pub scope: &'static str,
}

impl Screens {
    pub(super) fn add<H, T>(
        &mut self,
        method: MethodFilter,
        path: &'static str,
        handler: H,
        access: Access,
    ) where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        let route = on(method, handler)
            .layer(from_fn_with_state(access, auth::guard))
            .layer(from_fn(form::token));
        self.router = std::mem::take(&mut self.router).route(path, route);
        self.list.push(Screen {
            method: if method == MethodFilter::GET {
                "GET"
            } else {
                "POST"
            },
            path,
            scope: access.scope.as_str(),
        });
    }

    pub(super) fn list(self) -> Vec<Screen> {
        self.list
    }

    /// The routes: those of the list, and what needs no key.
    pub(super) fn behind(self, directory: Directory) -> Router<App> {
        let door = get(sign_in::ask).post(sign_in::sign_in);
        let access = Access {
            scope: Scope::Read,
            reach: Reach::Named,
            door: Door::Page,
        };
        let elsewhere = get(nothing).layer(from_fn_with_state(access, auth::guard));
        self.router
            .route("/ui/{*elsewhere}", elsewhere)
            .route("/ui/sign-in", door.layer(from_fn(form::token)))
            .route_layer(axum::Extension(directory))
            .route("/ui/assets/{file}", get(assets::asset))
            .route("/ui", get(to_page))
            .route("/", get(to_page))
    }
}

/// From `/` and `/ui` alike.
async fn to_page() -> Response {
    see_other("ui/")
}

/// A path of the page that leads to no screen, for whoever may see the page.
async fn nothing() -> Problem {
    Problem::new(
        Code::NoSuchRoute,
        "there is nothing at this path: choose a screen from the menu, or find a call",
    )
    .status(StatusCode::NOT_FOUND)
}

/// To a path relative to the one that was asked for: nobody here knows what stands before it.
fn see_other(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response(),
        Err(_unprintable) => Problem::internal().into_response(),
    }
}

/// Of a response: it says what is wrong itself, as a form does that is shown again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told;

/// A screen that says itself what is wrong.
fn told(mut response: Response, status: StatusCode) -> Response {
    *response.status_mut() = status;
    response.extensions_mut().insert(Told);
    response
}

/// A request for a screen, kept until its response: whatever goes wrong is said in HTML.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    method: Method,
    path: String,
    query: String,
}

impl Asked {
    /// None: the request is for no screen.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let uri = request.uri();
        uri.path().starts_with("/ui/").then(|| Self {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    /// A problem as people read it; without a session, the way to one.
    pub(super) fn answer(
        &self,
        problem: &Problem,
        carrier: &Response,
        request_id: &str,
    ) -> Response {
        let root = frame::root(&self.path);
        if problem.code() == Code::Unauthorized && self.method == Method::GET {
            return see_other(&sign_in::path(&root, &self.path, &self.query));
        }
        let owner = carrier.extensions().get::<Owner>();
        let path = self.path.trim_start_matches("/ui/");
        let mut response = frame::problem(&root, path, owner, problem, request_id);
        *response.status_mut() = carrier.status();
        if let Some(retry) = carrier.headers().get(header::RETRY_AFTER) {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, retry.clone());
        }
        response
    }
}
