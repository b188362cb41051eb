//! Endpoints: who is told of events, how far each has got, and the acts on one.

use axum::response::Response;
use maud::{Markup, html};

use super::{
    super::{endpoints::no_such, path::Name, problem::Problem},
    asking::{Asking, done, needed_why},
    form::Form,
    frame::Frame,
    parts::{Tone, badge, count, section, short, table, text, time},
    twins::Twins,
};
use crate::{
    domain::{Scope, Why},
    flow::view::Endpoint,
};

/// `GET /ui/endpoints`
pub(in crate::http) async fn list(frame: Frame) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let (endpoints, now) = tokio::try_join!(queue.endpoints(None), queue.now())?;
    let endpoints = frame.see(endpoints)?;
    let row = |endpoint: &Endpoint| {
        let state = if endpoint.paused {
            badge(Tone::Warn, "paused")
        } else if endpoint.failures > 0 {
            badge(Tone::Bad, "fails")
        } else {
            badge(Tone::Good, "open")
        };
        let why = endpoint
            .paused_why
            .as_deref()
            .or(endpoint.last_error.as_deref());
        // Seconds of a lag; what is longer than a century is as bad.
        #[expect(clippy::cast_possible_truncation, reason = "clamped")]
        let lag = endpoint
            .lag_sec
            .map(|lag| chrono::TimeDelta::seconds(lag.clamp(0.0, 3e9) as i64));
        vec![
            text(&endpoint.name),
            html! { (state) @if let Some(why) = why { " " (text(why)) } },
            html! { (text(&endpoint.url)) },
            html! { (text(&endpoint.kinds.join(", "))) },
            html! { (count(endpoint.unfinished)) },
            html! { @match lag { Some(lag) => { (short(lag)) } None => { span.soft { "none" } } } },
            html! { @match endpoint.delivered_at { Some(at) => { (time(at, now)) } None => { span.soft { "never" } } } },
            acts(&frame, endpoint),
        ]
    };
    let rows: Vec<_> = endpoints.iter().map(row).collect();
    let heads = [
        "Endpoint",
        "State",
        "URL",
        "Events",
        "Unfinished",
        "Behind",
        "Delivered",
        "Act",
    ];
    let empty = "Nobody is told of events. `pgdial endpoints create NAME --url URL` changes that.";
    let inside = table("Endpoints", &heads, &rows, empty);
    let body = html! {
        h1 { "Endpoints" }
        (section("endpoints", "Where events are delivered to", &html! {}, &inside))
    };
    Ok(frame.page("Endpoints", &body))
}

fn acts(frame: &Frame, endpoint: &Endpoint) -> Markup {
    let to = |act: &str| frame.to(&format!("endpoints/{}/{act}", endpoint.name));
    html! {
        div.beside {
            @if frame.may(Scope::Operate) {
                @if endpoint.paused {
                    a href=(to("resume")) { "Resume" }
                } @else {
                    a href=(to("test")) { "Test" }
                    a href=(to("pause")) { "Pause" }
                }
            }
            @if frame.may(Scope::Admin) { a href=(to("delete")) { "Delete" } }
        }
    }
}

/// An act on one endpoint.
#[derive(Debug, Clone, Copy)]
enum Act {
    Test,
    Pause,
    Resume,
    Delete,
}

impl Act {
    /// What it is called, on the command line and in SQL.
    const fn verbs(self) -> (&'static str, &'static str) {
        match self {
            Self::Test => ("test", "test_endpoint"),
            Self::Pause => ("pause", "pause"),
            Self::Resume => ("resume", "resume"),
            Self::Delete => ("delete", "delete_endpoint"),
        }
    }

    fn asking(self, endpoint: &Endpoint, why: Option<&str>) -> Asking<'static> {
        let (command, verb) = self.verbs();
        let waits =
            html! { strong { (count(endpoint.unfinished)) } " deliveries are unfinished. " };
        let (title, button, touches) = match self {
            Self::Test => (
                "Test",
                "Send it",
                html! { "An event of the kind " code { "test" } ", which is about no call, is sent to " (text(&endpoint.url)) "." },
            ),
            Self::Pause => (
                "Pause",
                "Pause it",
                html! { (waits) "Nothing more is sent to it until it is resumed; its events are kept for as long as the history is." },
            ),
            Self::Resume => (
                "Resume",
                "Resume it",
                html! { (waits) "They are sent at once, then what has happened meanwhile." },
            ),
            Self::Delete => (
                "Delete",
                "Delete it",
                html! { (waits) "They are not delivered, and nothing more is. Its secret is gone." },
            ),
        };
        let mut twins = Twins::of(&format!("endpoints {command}"), verb);
        if let Self::Pause | Self::Resume = self {
            twins = twins.only_sql("p_kind", &"endpoint".into());
        }
        Asking {
            title: format!("{title} endpoint {}", endpoint.name),
            touches: html! { p { (touches) } },
            fields: html! {},
            twins: twins.about("p_name", &endpoint.name).why(why),
            button: Some(button),
            is_final: matches!(self, Self::Delete),
            back: "endpoints".to_owned(),
        }
    }

    async fn ask(self, frame: &Frame, name: &str) -> Result<Response, Problem> {
        Ok(self.asking(&one(frame, name).await?, None).page(frame))
    }

    async fn act(self, frame: &Frame, name: &str, form: &Form) -> Result<Response, Problem> {
        let refusal = match self.attempt(frame, name, form).await {
            Ok(true) => return Ok(done(frame, "endpoints", self.word(), None)),
            Ok(false) => return Err(no_such()),
            Err(problem) => problem,
        };
        let asking = self.asking(&one(frame, name).await?, form.get("why"));
        Ok(asking.again(frame, &refusal, form))
    }

    /// False: there is no such endpoint.
    async fn attempt(self, frame: &Frame, name: &str, form: &Form) -> Result<bool, Problem> {
        let why: Why = needed_why(form)?;
        let (queue, by) = (&frame.app.calls, frame.owner.by());
        Ok(match self {
            Self::Test => queue.test_endpoint(name, &by, Some(&why)).await?.is_some(),
            Self::Pause => queue.pause_endpoint(name, &by, &why).await?,
            Self::Resume => queue.resume_endpoint(name, &by, Some(&why)).await?,
            Self::Delete => queue.delete_endpoint(name, &by, Some(&why)).await?,
        })
    }

    /// What is said once it is done.
    const fn word(self) -> &'static str {
        match self {
            Self::Test => "tested",
            Self::Pause => "silenced",
            Self::Resume => "told",
            Self::Delete => "deleted",
        }
    }
}

async fn one(frame: &Frame, name: &str) -> Result<Endpoint, Problem> {
    let all = frame.app.calls.endpoints(Some(name)).await?;
    frame.see(all.into_iter().next().ok_or_else(no_such)?)
}

/// The two handlers of an act: its form, and what the form does.
macro_rules! handlers {
    ($($ask:ident $post:ident $act:ident),* $(,)?) => {$(
        pub(in crate::http) async fn $ask(
            frame: Frame,
            Name(name, _): Name<Endpoint>,
        ) -> Result<Response, Problem> {
            Act::$act.ask(&frame, &name).await
        }

        pub(in crate::http) async fn $post(
            frame: Frame,
            Name(name, _): Name<Endpoint>,
            form: Form,
        ) -> Result<Response, Problem> {
            Act::$act.act(&frame, &name, &form).await
        }
    )*};
}

handlers![
    ask_test test Test,
    ask_pause pause Pause,
    ask_resume resume Resume,
    ask_delete delete Delete,
];
