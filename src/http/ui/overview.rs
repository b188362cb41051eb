//! The overview: is it dialling, and if not, why?

use axum::response::Response;
use maud::html;

use super::{super::problem::Problem, frame::Frame};

/// `GET /ui/`
pub(in crate::http) async fn show(frame: Frame) -> Result<Response, Problem> {
    Ok(frame.page("Overview", &html! { h1 { "Overview" } }))
}
