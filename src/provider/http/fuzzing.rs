//! Entry points for the targets in `fuzz/`: the pure functions that read a provider's responses. Not an interface:
//! they change with the code behind them.

use hyper::{HeaderMap, StatusCode, body::Bytes};

use super::{answer, look_up};
use crate::{
    domain::{Placement, Reference},
    provider::{self, Cancellation, Error, LookedUp, words},
};

/// A provider's response, and the key that must not appear in any words about it.
#[derive(Debug)]
pub struct Answer<'a> {
    answer: provider::answer::Answer,
    key: Option<&'a str>,
}

impl<'a> Answer<'a> {
    /// A response as read off the wire.
    pub fn new(status: StatusCode, headers: HeaderMap, body: &[u8], key: Option<&'a str>) -> Self {
        let body = Bytes::copy_from_slice(body);
        let answer = provider::answer::Answer {
            status,
            headers,
            body,
        };
        Self { answer, key }
    }

    /// Reads it as the response to a dial.
    pub fn placement(&self) -> Placement {
        answer::placement(&self.answer, self.key)
    }

    /// Reads it as the response to a cancel request.
    pub fn cancellation(&self) -> Result<Cancellation, Error> {
        answer::cancellation(&self.answer, self.key)
    }

    /// Reads it as the response to a look-up by the provider's id.
    pub fn by_id(&self) -> Result<LookedUp, Error> {
        look_up::by_id(&self.answer, self.key)
    }

    /// Reads it as the response to a look-up by our reference.
    pub fn by_reference(&self, dial: Reference) -> Result<LookedUp, Error> {
        look_up::by_reference(&self.answer, dial, self.key)
    }
}

/// A provider's words, made safe to store and log.
pub fn safe(text: &str) -> String {
    words::safe(text)
}
