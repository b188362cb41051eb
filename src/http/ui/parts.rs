//! The design system: what screens are made of.
//!
//! Everything is escaped by the templates. Texts of others also pass through [`plain`], for a bidirectional override
//! would let one line read as another.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use crate::shown::plain;

/// How a badge, a meter or a line looks; colour never says it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Calm,
    Good,
    Warn,
    Bad,
}

impl Tone {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// A text of somebody else: a name, a reason, a provider's words.
pub(super) fn text(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

/// A name that others chose, on one line: a screen that it leads to has it in full.
pub(super) fn name(name: &str) -> Markup {
    html! { bdi.called title=(plain(name)) { (plain(name)) } }
}

/// The same, where it may be missing.
pub(super) fn text_or_none(given: Option<&str>) -> Markup {
    html! { @if let Some(given) = given { (text(given)) } @else { span.soft { "none" } } }
}

/// A word about a state.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span.badge.(tone.as_str()) { (word) } }
}

/// A word of the program, as people write it: `trunk_full` is "trunk full". Of a call nobody says that it is unresolved.
pub(super) fn words(word: &str) -> String {
    match word {
        "unresolved" => "in doubt".to_owned(),
        // Of a campaign, too: "retry due" reads as if one were.
        "retry_due" => "retry later".to_owned(),
        _ => plain(&word.replace('_', " ")),
    }
}

/// A whole number, in groups of three.
pub(super) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{2009}');
        }
        grouped.push(digit);
    }
    if number < 0 {
        format!("\u{2212}{grouped}")
    } else {
        grouped
    }
}

/// A duration in few letters.
pub(super) fn short(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// An instant: how long ago or ahead, and in full to whoever points at it.
pub(super) fn time(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let distance = now - at;
    let said = if distance.num_seconds().abs() < 1 {
        "now".to_owned()
    } else if distance > TimeDelta::zero() {
        format!("{} ago", short(distance))
    } else {
        format!("in {}", short(-distance))
    };
    html! { time datetime=(at.to_rfc3339()) title=(full(at)) { (said) } }
}

/// An instant as in the logs.
pub(super) fn instant(at: DateTime<Utc>) -> Markup {
    html! { time datetime=(at.to_rfc3339()) { (full(at)) } }
}

fn full(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A table with a caption for those who hear it, its heads, and its rows of cells. On a phone each row is a card.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Vec<Markup>], empty: &str) -> Markup {
    drawn("wide", usize::MAX, caption, heads, rows, empty)
}

/// A table of many short rows: on a phone only so many of its columns are shown.
pub(super) fn rows(
    narrow: usize,
    caption: &str,
    heads: &[&str],
    rows: &[Vec<Markup>],
    empty: &str,
) -> Markup {
    drawn("wide rows", narrow, caption, heads, rows, empty)
}

fn drawn(
    class: &str,
    narrow: usize,
    caption: &str,
    heads: &[&str],
    rows: &[Vec<Markup>],
    empty: &str,
) -> Markup {
    let extra = |at: usize| (at >= narrow).then_some("extra");
    html! {
        @if rows.is_empty() {
            p.empty { (empty) }
        } @else {
            div class=(class) tabindex="0" role="group" aria-label=(caption) {
                table {
                    caption.hidden { (caption) }
                    thead { tr { @for (at, head) in heads.iter().enumerate() { th scope="col" class=[extra(at)] { (head) } } } }
                    tbody {
                        @for row in rows {
                            tr {
                                @for (at, cell) in row.iter().enumerate() {
                                    // The name of the column, where a narrow screen shows rows as cards.
                                    @let head = heads.get(at).copied().unwrap_or_default();
                                    @if at == 0 { th scope="row" { (cell) } } @else { td data-head=(head) class=[extra(at)] { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Names and what they are.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// One number, large, with its name.
pub(super) fn figure(name: &str, value: &Markup, about: &Markup) -> Markup {
    html! {
        div.figure {
            span.name { (name) }
            span.value { (value) }
            span.about { (about) }
        }
    }
}

/// So much of so much.
pub(super) fn meter(label: &str, part: i64, whole: i64, tone: Tone) -> Markup {
    // In SVG, because the policy of the page allows no style in a document.
    let width = if whole > 0 {
        (part.clamp(0, whole) * 1000) / whole
    } else {
        0
    };
    html! {
        svg.meter.(tone.as_str()) viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.whole width="1000" height="10" rx="5" {}
            rect.part width=(width) height="10" rx="5" {}
        }
    }
}

/// Names that a field offers; any other may be typed.
pub(super) fn offered<'a>(id: &str, names: impl Iterator<Item = &'a str>) -> Markup {
    html! { datalist id=(id) { @for name in names { option value=(plain(name)) {} } } }
}

/// A section of a screen. The script keeps one with a name up to date.
pub(super) fn section(id: &str, title: &str, beside: &Markup, inside: &Markup) -> Markup {
    html! {
        section.card id=(id) data-part aria-labelledby={ (id) "-title" } {
            header { h2 id={ (id) "-title" } { (title) } div.beside { (beside) } }
            (inside)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_short() {
        assert_eq!(
            [count(7), count(1234), count(-1_000_000)],
            ["7", "1\u{2009}234", "\u{2212}1\u{2009}000\u{2009}000"]
        );
        let lengths = [5, 65, 3700, 90_000].map(|seconds| short(TimeDelta::seconds(seconds)));
        assert_eq!(lengths, ["5 s", "1 min 05 s", "1 h 01 min", "1 d 1 h"]);
    }

    #[test]
    fn what_others_wrote_stays_text() {
        let shown = text("<script>\u{202e}\"&").into_string();
        assert_eq!(shown, "<bdi>&lt;script&gt; &quot;&amp;</bdi>");
    }
}
