//! Charts, as SVG that the server draws.

use maud::{Markup, html};

/// Columns over time, each a stack of parts; the parts are classes of the style sheet.
pub(super) struct Columns<'a> {
    /// What it shows, in a sentence, for those who hear it.
    pub(super) about: &'a str,
    /// Names of the parts, from the bottom, each with its class.
    pub(super) parts: &'a [(&'a str, &'a str)],
    /// One for each span of time: when it began, in words, and its parts.
    pub(super) over_time: &'a [(String, Vec<i64>)],
}

const WIDTH: i64 = 720;
const HEIGHT: i64 = 120;

impl Columns<'_> {
    pub(super) fn draw(&self) -> Markup {
        let highest = self
            .over_time
            .iter()
            .map(|(_, parts)| parts.iter().sum::<i64>())
            .max()
            .unwrap_or(0);
        let top = nice(highest);
        let step = WIDTH / i64::try_from(self.over_time.len().max(1)).unwrap_or(1);
        html! {
            figure.chart {
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(self.about) {
                    @for line in [0, HEIGHT / 2] {
                        line.grid x1="0" x2=(WIDTH) y1=(line) y2=(line) {}
                    }
                    @for (at, (when, parts)) in self.over_time.iter().enumerate() {
                        @let left = i64::try_from(at).unwrap_or(0) * step;
                        g {
                            title { (when) ": " (self.said(parts)) }
                            rect.hit x=(left) y="0" width=(step) height=(HEIGHT) {}
                            @for (class, from, height) in self.stack(parts, top) {
                                rect class=(class) x=(left + 1) y=(from) width=((step - 2).max(1)) height=(height) {}
                            }
                        }
                    }
                }
                figcaption {
                    span.axis { (top) " a minute" }
                    ul.legend { @for (name, class) in self.parts { li { span.key.(class) aria-hidden="true" {} (name) } } }
                }
            }
        }
    }

    fn said(&self, parts: &[i64]) -> String {
        let said = self
            .parts
            .iter()
            .zip(parts)
            .map(|((name, _), count)| format!("{count} {name}"));
        said.collect::<Vec<_>>().join(", ")
    }

    /// Class, top and height of each part of a column.
    fn stack(&self, parts: &[i64], top: i64) -> Vec<(&str, i64, i64)> {
        let mut below = 0;
        let mut stack = Vec::new();
        for ((_, class), count) in self.parts.iter().zip(parts) {
            let from = below * HEIGHT / top;
            below += count;
            let to = below * HEIGHT / top;
            if to > from {
                stack.push((*class, HEIGHT - to, to - from));
            }
        }
        stack
    }
}

/// The next number that people count in.
fn nice(highest: i64) -> i64 {
    let mut unit = 1;
    loop {
        for nice in [unit, unit * 2, unit * 5] {
            if nice >= highest {
                return nice;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_number_that_people_count_in() {
        assert_eq!(
            [0, 1, 3, 7, 12, 60, 1001].map(nice),
            [1, 1, 5, 10, 20, 100, 2000]
        );
    }

    #[test]
    fn the_parts_of_a_column_stand_on_each_other() {
        let columns = [("12:00".to_owned(), vec![5, 5])];
        let chart = Columns {
            about: "x",
            parts: &[("a", "good"), ("b", "bad")],
            over_time: &columns,
        };
        assert_eq!(chart.stack(&[5, 5], 10), [("good", 60, 60), ("bad", 0, 60)]);
    }
}
