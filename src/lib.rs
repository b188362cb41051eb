#![doc = include_str!("../README.md")]

/// What a call is, in plain values.
pub mod domain;

/// The life of a call, one verb a file.
pub mod flow;

/// The outside phone company: adapters, signatures, and the fake provider.
pub mod provider;

/// Which provider accounts this process knows, with their secrets.
pub mod trunks;

/// Connections, migrations, and a private server.
pub mod db;

/// The HTTP API, the webhook, and what operators scrape.
pub mod http;
