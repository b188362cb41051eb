#![doc = include_str!("../README.md")]

/// What a call is, in plain values.
pub mod domain;

/// Connections, migrations, and a private server.
pub mod db;

/// The outside phone company: adapters, signatures, and the fake provider.
pub mod provider;
