//! Worker processes, and draining one.

use axum::response::Response;
use maud::{Markup, html};

use super::{
    super::{
        path::{Id, WorkerId},
        problem::{Code, Problem},
    },
    asking::{Asking, done, needed_why},
    form::Form,
    frame::Frame,
    parts::{Tone, badge, count, section, table, text, time},
    twins::Twins,
};
use crate::{
    domain::Scope,
    flow::{drain::Drained, view::Worker},
    shown::plain,
};

/// `GET /ui/workers`
pub(in crate::http) async fn list(frame: Frame) -> Result<Response, Problem> {
    let queue = &frame.app.calls;
    let (workers, now) = tokio::try_join!(queue.workers(), queue.now())?;
    let row = |worker: &Worker| {
        let may_drain = worker.alive && !worker.draining && frame.may(Scope::Operate);
        vec![
            html! { (text(&worker.host)) span.soft { ":" (worker.pid) } },
            state(worker),
            html! { (count(worker.in_flight)) },
            html! { (worker.permits) },
            html! { (text(&worker.trunks.join(", "))) },
            time(worker.seen_at, now),
            time(worker.started_at, now),
            html! { (text(&worker.release)) },
            html! { @if may_drain { a.button href=(frame.to(&format!("workers/{}/drain", worker.id))) { "Drain" } } },
        ]
    };
    let rows: Vec<_> = workers.iter().map(row).collect();
    let heads = [
        "Process",
        "State",
        "In flight",
        "Permits",
        "Trunks",
        "Seen",
        "Started",
        "Release",
        "Act",
    ];
    let empty = "No worker has been here in the last day: nothing is dialled. Start `pgdial serve` or `pgdial work`.";
    let alive = workers.iter().filter(|worker| worker.alive).count();
    let inside = table("Workers", &heads, &rows, empty);
    let body = html! {
        h1 { "Workers" }
        (section("workers", "Of the last day", &html! { (alive) " alive" }, &inside))
    };
    Ok(frame.page("Workers", &body))
}

fn state(worker: &Worker) -> Markup {
    if worker.stopping {
        badge(Tone::Calm, "stopped")
    } else if !worker.alive {
        badge(Tone::Bad, "silent")
    } else if worker.draining {
        badge(Tone::Warn, "draining")
    } else {
        badge(Tone::Good, "alive")
    }
}

async fn one(frame: &Frame, id: WorkerId) -> Result<Worker, Problem> {
    let workers = frame.app.calls.workers().await?;
    workers
        .into_iter()
        .find(|worker| worker.id == id.0)
        .ok_or_else(no_such)
}

fn no_such() -> Problem {
    Problem::new(
        Code::NoSuchWorker,
        "there is no worker with this id: it has been gone for more than a day, or never was",
    )
}

/// `GET /ui/workers/{id}/drain`
pub(in crate::http) async fn ask_drain(
    frame: Frame,
    Id(id): Id<WorkerId>,
) -> Result<Response, Problem> {
    Ok(draining(&one(&frame, id).await?, None).page(&frame))
}

/// `POST /ui/workers/{id}/drain`
pub(in crate::http) async fn drain(
    frame: Frame,
    Id(id): Id<WorkerId>,
    form: Form,
) -> Result<Response, Problem> {
    let why = match needed_why(&form) {
        Ok(why) => why,
        Err(problem) => {
            let worker = one(&frame, id).await?;
            return Ok(draining(&worker, form.get("why")).again(&frame, &problem, &form));
        }
    };
    match frame.app.calls.drain(id.0, &frame.owner.by(), &why).await? {
        Drained::NotFound => Err(no_such()),
        Drained::Draining | Drained::AlreadyDraining | Drained::Stopping => {
            Ok(done(&frame, "workers", "drained", None))
        }
    }
}

fn draining(worker: &Worker, why: Option<&str>) -> Asking<'static> {
    Asking {
        title: format!("Drain the worker {}:{}", plain(&worker.host), worker.pid),
        touches: html! {
            p {
                "It claims nothing more and finishes its dials; its "
                strong { (count(worker.in_flight)) } " calls in flight go on. Restart the process to undo it."
            }
        },
        fields: html! {},
        twins: Twins::of("workers drain", "drain")
            .about("p_worker", &worker.id.to_string())
            .why(why),
        button: Some("Drain it"),
        is_final: true,
        back: "workers".to_owned(),
    }
}
