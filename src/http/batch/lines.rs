//! Lines of a body as they arrive: memory is bounded, the length of the body is not.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::Item;
use crate::http::{
    body::{self, ONE_CALL},
    problem::{Code, Problem},
};

/// Limit of lines in one statement.
const MOST: usize = 1000;
/// Limit of bytes in one statement.
const LARGEST: usize = 1024 * 1024;
/// Limit for a client to send one more line.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// How long a body is read on and discarded, see `linger`.
const LINGER_LIMIT: Duration = Duration::from_secs(5);
/// Lines that arrive within this time of the previous ones join their statement.
const GRACE: Duration = Duration::from_millis(3);

/// Splits bytes into lines; each becomes an item or an error. Empty lines are skipped.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// Beginning of a line whose end has not arrived.
    kept: Vec<u8>,
    /// The current line exceeds the limit; the rest of it is skipped.
    is_too_long: bool,
    items: Vec<Item>,
    bytes: usize,
    /// A byte order mark is skipped before the first line only.
    has_begun: bool,
}

impl Splitter {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.keep(line);
            self.end_line();
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
    }

    fn keep(&mut self, piece: &[u8]) {
        self.is_too_long |= self.kept.len() + piece.len() > ONE_CALL;
        if self.is_too_long {
            self.kept.clear();
        } else {
            self.kept.extend_from_slice(piece);
        }
    }

    /// Ends the last line, which needs no line feed.
    pub(super) fn end_line(&mut self) {
        let line = if std::mem::replace(&mut self.has_begun, true) {
            self.kept.as_slice()
        } else {
            body::without_mark(&self.kept)
        };
        let line = line.trim_ascii();
        if self.is_too_long {
            let detail = "the line is longer than 64 KiB".to_owned();
            self.items.push(Err((Code::BodyTooLarge, detail)));
        } else if !line.is_empty() {
            // The parser counts lines as well, but sees a single one each time: only the column is
            // informative.
            self.items
                .push(serde_json::from_slice(line).map_err(|error| {
                    let at = error.column();
                    let detail = format!("the line is not JSON (column {at})");
                    (Code::MalformedJson, detail)
                }));
        }
        self.bytes += self.kept.len();
        self.kept.clear();
        self.is_too_long = false;
    }

    fn is_full(&self) -> bool {
        self.items.len() >= MOST || self.bytes >= LARGEST
    }

    pub(super) fn take(&mut self) -> Vec<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }
}

/// Lines of one body.
#[derive(Debug)]
pub(super) struct Lines {
    body: Body,
    splitter: Splitter,
    has_ended: bool,
    failure: Option<Problem>,
}

impl Lines {
    pub(super) fn of(body: Body) -> Self {
        Self {
            body,
            splitter: Splitter::default(),
            has_ended: false,
            failure: None,
        }
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Items that have arrived, at least one unless the body has ended. Items that arrived whole before the
    /// body failed are returned before the error.
    pub(super) async fn next(&mut self) -> Result<Vec<Item>, Problem> {
        timeout(TIME_LIMIT, self.wait_for_one())
            .await
            .unwrap_or_else(|_elapsed| self.failure = Some(body::too_slow()));
        while !self.splitter.is_full() && !self.is_over() {
            if timeout(GRACE, self.read()).await.is_err() {
                break;
            }
        }
        let items = self.splitter.take();
        match self.failure.take_if(|_| items.is_empty()) {
            Some(failure) => Err(failure),
            None => Ok(items),
        }
    }

    /// Reads on for a while and discards: a response sent while the client still writes would be lost in the
    /// reset of the connection.
    pub(super) async fn linger(&mut self) {
        let read = async {
            let mut left = body::LINGER;
            while let Some(Ok(frame)) = self.body.frame().await {
                let length = frame.into_data().unwrap_or_default().len();
                left = left.saturating_sub(length);
                if left == 0 {
                    break;
                }
            }
        };
        timeout(LINGER_LIMIT, read).await.unwrap_or_default();
    }

    const fn is_over(&self) -> bool {
        self.has_ended || self.failure.is_some()
    }

    async fn wait_for_one(&mut self) {
        while self.splitter.items.is_empty() && !self.is_over() {
            self.read().await;
        }
    }

    async fn read(&mut self) {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.splitter.push(&data);
                }
            }
            Some(Err(error)) => self.failure = Some(body::unreadable(error)),
            None => {
                self.splitter.end_line();
                self.has_ended = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<Item> {
        let mut splitter = Splitter::default();
        for piece in pieces {
            splitter.push(piece);
        }
        splitter.end_line();
        splitter.take()
    }

    #[test]
    fn empty_lines_do_not_count_and_a_broken_line_is_its_own_error() {
        let items = split(&[b"{\"to\":1}\r\n\n  \n{\"to\":\n[1]"]);
        assert_eq!(items.len(), 3);
        assert!(items[0].is_ok() && items[2].is_ok());
        let broken = (
            Code::MalformedJson,
            "the line is not JSON (column 6)".to_owned(),
        );
        assert_eq!(items[1], Err(broken));
        assert_eq!(split(&[b"\n\n"]).len(), 0);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line_and_of_no_other() {
        let items = split(&[b"\xef\xbb", b"\xbf{}\n{}\n\xef\xbb\xbf{}"]);
        let are_right: Vec<bool> = items.iter().map(Result::is_ok).collect();
        assert_eq!(are_right, [true, true, false]);
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let text = b"{\"to\":\"a\"}\n\n{\"to\":\n[1]\r\n\"\xff\"\n{}";
        let whole = split(&[text]);
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(split(&pieces), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut splitter = Splitter::default();
        for _ in 0..100 {
            splitter.push(&[b'x'; 10_000]);
            assert!(splitter.kept.len() <= ONE_CALL);
        }
        splitter.push(b"\n{}\n");
        let items = splitter.take();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].as_ref().unwrap_err().0, Code::BodyTooLarge);
        assert!(items[1].is_ok());
    }
}
