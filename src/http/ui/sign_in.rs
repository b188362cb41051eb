//! Signing in with a key, and out.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use maud::html;

use super::{
    super::{
        App,
        auth::{Directory, Door, set_cookie},
        problem::{Code, Problem},
        sessions::LIFE,
    },
    form::Form,
    frame::{self, Frame, Query, root},
    see_other,
};

/// The path to the form, and from there back to what was asked for.
pub(super) fn path(root: &str, asked: &str, query: &str) -> String {
    let mut next = asked.trim_start_matches("/ui/").to_owned();
    if !query.is_empty() {
        next = format!("{next}?{query}");
    }
    if next.is_empty() {
        return format!("{root}sign-in");
    }
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{root}sign-in?next={next}")
}

/// A screen of ours below `/ui/`, and nothing that a browser would take for another place.
fn next(given: Option<&str>) -> String {
    let is_ours = |path: &&str| {
        let plain = path
            .chars()
            .all(|c| c.is_ascii_graphic() && !"\\:".contains(c));
        let screen = path.split('?').next().unwrap_or_default();
        plain && !screen.starts_with('/') && !screen.contains("..") && !screen.starts_with("sign-")
    };
    format!("./{}", given.filter(is_ours).unwrap_or_default())
}

/// `GET /ui/sign-in`
pub(in crate::http) async fn ask(
    Extension(directory): Extension<Directory>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if query.get("signed").is_none() {
        return Ok(show(query.get("next"), None));
    }
    // Only a browser that has kept the session comes back with it.
    match directory.owner(&headers, Door::Page).await {
        Ok(_) => Ok(see_other(&next(query.get("next")))),
        Err(problem) if problem.code() == Code::Unauthorized => {
            Ok(show(query.get("next"), Some(NOT_KEPT)))
        }
        Err(problem) => Err(problem),
    }
}

const NOT_KEPT: &str = "The key is right, but your browser did not keep the session. It keeps one only over HTTPS, or \
                        for localhost: put a proxy with TLS before this server, or reach it by \
                        `ssh -L 8080:localhost:8080`.";

/// `POST /ui/sign-in`
pub(in crate::http) async fn sign_in(
    State(app): State<App>,
    Extension(directory): Extension<Directory>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Problem> {
    let asked = form.get("next");
    let Some(key) = form.get("key") else {
        return Ok(show(asked, Some("Paste a key first.")));
    };
    let (owner, hash) = match directory.sign_in(&headers, key).await {
        Ok(known) => known,
        Err(problem) if problem.code() == Code::Unauthorized => {
            return Ok(show(asked, Some(problem.detail())));
        }
        Err(problem) => return Err(problem),
    };
    let opened = app
        .calls
        .open_session(owner.as_str(), &hash, LIFE, &owner.by())
        .await?;
    let secret = secrecy::ExposeSecret::expose_secret(&opened.secret);
    let cookie = [(
        header::SET_COOKIE,
        set_cookie(&headers, secret, LIFE.as_secs()),
    )];
    // A key that is bound to campaigns has no overview of everything.
    let first = if owner.campaigns().is_some() {
        "campaigns"
    } else {
        ""
    };
    let next: String = form_urlencoded::byte_serialize(asked.unwrap_or(first).as_bytes()).collect();
    Ok((
        cookie,
        see_other(&format!("./sign-in?signed=1&next={next}")),
    )
        .into_response())
}

/// `POST /ui/sign-out`
pub(in crate::http) async fn sign_out(
    frame: Frame,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(session) = frame.owner.session() {
        frame.app.calls.end_session(&session.hash).await?;
    }
    let cookie = [(header::SET_COOKIE, set_cookie(&headers, "", 0))];
    Ok((cookie, see_other("./sign-in")).into_response())
}

fn show(next: Option<&str>, wrong: Option<&str>) -> Response {
    let body = html! {
        div.door {
            h1 { "Sign in" }
            p.soft { "With a key of this server. Whoever runs it makes one:" }
            pre { code { "pgdial keys create NAME --scope operate" } }
            @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
            form.act method="post" {
                @if let Some(next) = next { input type="hidden" name="next" value=(next); }
                p.field {
                    label for="key" { "Key" }
                    input #key name="key" type="password" required autofocus autocomplete="current-password"
                        spellcheck="false";
                }
                p.buttons { button.strong { "Sign in" } }
            }
            p.soft {
                "A session lasts 12 hours at most. If you have one and came from a page of another site, "
                a href=(self::next(next)) { "go on" } "."
            }
        }
    };
    frame::plain(&root("/ui/sign-in"), "Sign in", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_screens_of_ours_only() {
        for (given, expected) in [
            (Some("campaigns/spring?x=1"), "./campaigns/spring?x=1"),
            (Some("calls?q=%2B1415"), "./calls?q=%2B1415"),
            (Some("//evil.example.com"), "./"),
            (Some("/\\evil.example.com"), "./"),
            (Some("https://evil.example.com"), "./"),
            (Some("../api/v1/keys"), "./"),
            (Some("sign-out"), "./"),
            (Some("a\u{202e}b"), "./"),
            (None, "./"),
        ] {
            assert_eq!(next(given), expected, "{given:?}");
        }
        assert_eq!(
            path("../", "/ui/trunks/a", "x=1"),
            "../sign-in?next=trunks%2Fa%3Fx%3D1"
        );
    }
}
