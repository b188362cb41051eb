//! The form of an act: what it touches, its reason, and the same as command and SQL.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{super::problem::Problem, form::Form, frame::Frame, see_other, told, twins::Twins};
use crate::domain::{Why, WhyError};

/// An act that a person is asked about. The form is at the path that does it: GET shows it, POST does it.
pub(super) struct Asking<'a> {
    /// The question, as a title: `Pause trunk main`.
    pub(super) title: String,
    /// What it touches: how many, and some of them.
    pub(super) touches: Markup,
    /// Further fields, before the reason.
    pub(super) fields: Markup,
    /// The same act elsewhere.
    pub(super) twins: Twins,
    /// The word on the button; none if there is nothing to do, as `touches` says.
    pub(super) button: Option<&'a str>,
    /// Whether what it does cannot be undone.
    pub(super) is_final: bool,
    /// The screen to go back to, below `/ui/`.
    pub(super) back: String,
}

impl Asking<'_> {
    /// The form, empty.
    pub(super) fn page(&self, frame: &Frame) -> Response {
        self.show(frame, None, &Form::default())
    }

    /// The form as it was filled in, with what is wrong with it.
    pub(super) fn again(&self, frame: &Frame, problem: &Problem, form: &Form) -> Response {
        let response = self.show(frame, Some(problem), form);
        told(response, StatusCode::UNPROCESSABLE_ENTITY)
    }

    fn show(&self, frame: &Frame, problem: Option<&Problem>, form: &Form) -> Response {
        let body = html! {
            h1 { (self.title) }
            @if let Some(problem) = problem {
                p.wrong role="alert" { (frame.see_text(problem.detail())) }
            }
            div.touches { (self.touches) }
            @if let Some(button) = self.button {
                form.act method="post" {
                    (frame.token())
                    (self.fields)
                    p.field {
                        label for="why" { "Reason" }
                        input #why name="why" maxlength="500" required autofocus[self.fields.0.is_empty()]
                            value=[form.get("why")] aria-describedby="why-about";
                        span.soft #why-about { "Kept with your key's name: of a single call in its timeline, of all else in the audit log." }
                    }
                    p.buttons {
                        button.strong.final[self.is_final] { (button) }
                        " " a.button href=(frame.to(&self.back)) { "Do not" }
                    }
                }
                (self.twins.shown())
            } @else {
                p.buttons { a.button href=(frame.to(&self.back)) { "Back" } }
            }
        };
        frame.page(&self.title, &body)
    }
}

impl Twins {
    fn shown(&self) -> Markup {
        html! {
            details.twins open {
                summary { "The same elsewhere" }
                dl {
                    dt { "Command" } dd { pre tabindex="0" { code data-twin="command" { (self.command()) } } }
                    dt { "SQL" } dd { pre tabindex="0" { code data-twin="sql" { (self.statement()) } } }
                }
            }
        }
    }
}

/// The reason on a form: every act needs one.
pub(super) fn needed_why(form: &Form) -> Result<Why, Problem> {
    let why = form.get("why").map_or(Err(WhyError::Empty), str::parse);
    why.map_err(bad_why)
}

fn bad_why(error: WhyError) -> Problem {
    Problem::new(super::Code::InvalidRequest, format!("the reason {error}"))
}

/// On to a screen that says what was done: a word that `frame.rs` knows, perhaps with how many.
pub(super) fn done(frame: &Frame, path: &str, word: &str, count: Option<i64>) -> Response {
    frame.app.kept.acted();
    let count = count.map_or_else(String::new, |count| format!("-{count}"));
    let sign = if path.contains('?') { '&' } else { '?' };
    see_other(&frame.to(&format!("{path}{sign}done={word}{count}"))).into_response()
}
