//! Keys: who is let in, and revoking one.

use axum::response::Response;
use maud::html;

use super::{
    super::{keys::no_such_key, path::Name, problem::Problem},
    asking::{Asking, done, needed_why},
    form::Form,
    frame::Frame,
    parts::{Tone, badge, count, section, table, text, text_or_none, time, words},
    twins::Twins,
};
use crate::flow::view::{Key, KeyState};

/// `GET /ui/keys`
pub(in crate::http) async fn list(frame: Frame) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let (keys, now) = tokio::try_join!(queue.keys(None, true), queue.now())?;
    let row = |key: &Key| {
        let tone = if key.state == KeyState::Valid {
            Tone::Good
        } else {
            Tone::Calm
        };
        let campaigns = key.campaigns.as_ref().map(|campaigns| campaigns.join(", "));
        vec![
            text(&key.name),
            html! { code { (key.hint) "…" } },
            badge(tone, key.state.as_str()),
            html! { (key.scope.as_str()) },
            text_or_none(campaigns.as_deref()),
            html! { (words(key.numbers.into())) },
            html! { @match key.used_at { Some(at) => { (time(at, now)) } None => { span.soft { "never" } } } },
            html! { @match key.expires_at { Some(at) => { (time(at, now)) } None => { span.soft { "never" } } } },
            text(&key.created_by),
            html! {
                @if key.state == KeyState::Valid { a href=(frame.to(&format!("keys/{}/revoke", key.name))) { "Revoke" } }
            },
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let heads = [
        "Key",
        "Begins",
        "State",
        "Scope",
        "Campaigns",
        "Numbers",
        "Used",
        "Expires",
        "Made by",
        "Act",
    ];
    let empty = "There is none but those of the settings (PGDIAL_API_KEYS), which are not listed; where there are none either, whoever is on this host may do everything. `pgdial keys create NAME --scope operate` makes one.";
    let inside = table("Keys", &heads, &rows, empty);
    let body = html! {
        h1 { "Keys" }
        (section("keys", "Who may use this server", &html! {}, &inside))
    };
    Ok(frame.page("Keys", &body))
}

/// `GET /ui/keys/{name}/revoke`
pub(in crate::http) async fn ask_revoke(
    frame: Frame,
    Name(name, _): Name<Key>,
) -> Result<Response, Problem> {
    Ok(revoking(&frame, &name, None).await?.page(&frame))
}

/// `POST /ui/keys/{name}/revoke`
pub(in crate::http) async fn revoke(
    frame: Frame,
    Name(name, _): Name<Key>,
    form: Form,
) -> Result<Response, Problem> {
    let why = match needed_why(&form) {
        Ok(why) => why,
        Err(problem) => {
            let asking = revoking(&frame, &name, form.get("why")).await?;
            return Ok(asking.again(&frame, &problem, &form));
        }
    };
    let queue = &frame.app.calls;
    match queue
        .revoke_key(&name, &frame.owner.by(), Some(&why))
        .await?
    {
        0 => Err(no_such_key()),
        _ => Ok(done(&frame, "keys", "revoked", None)),
    }
}

async fn revoking(
    frame: &Frame,
    name: &str,
    why: Option<&str>,
) -> Result<Asking<'static>, Problem> {
    let keys = frame.app.calls.keys(Some(name), false).await?;
    if keys.is_empty() {
        return Err(no_such_key());
    }
    Ok(Asking {
        title: format!("Revoke key {name}"),
        touches: html! {
            p {
                "Keys of this name: " strong { (count(keys.len().try_into().unwrap_or(i64::MAX))) } ". "
                "Every process refuses them within seconds, and ends the sessions and streams that they have opened."
            }
            @if frame.owner.as_str() == name { p.wrong { "It is the key that you use now." } }
        },
        fields: html! {},
        twins: Twins::of("keys revoke", "revoke_key")
            .about("p_name", name)
            .why(why),
        button: Some("Revoke it"),
        is_final: true,
        back: "keys".to_owned(),
    })
}
