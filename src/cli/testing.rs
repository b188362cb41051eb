//! Streams captured for tests.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Out, out::Style};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A command's streams, kept for inspection.
pub(crate) struct Captured {
    pub(crate) out: Out,
    data: Shared,
    words: Shared,
}

impl Captured {
    pub(crate) fn new(style: Style) -> Self {
        let (data, words) = (Shared::default(), Shared::default());
        let out = Out::new(Box::new(data.clone()), Box::new(words.clone()), style);
        Self { out, data, words }
    }

    pub(crate) fn data(&self) -> String {
        self.data.text()
    }

    pub(crate) fn words(&self) -> String {
        self.words.text()
    }
}
