//! The interface to callers: one protocol's paths, words and signatures.

mod problem;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod server;
pub(crate) mod signing;
