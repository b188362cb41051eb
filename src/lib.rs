#![doc = include_str!("../README.md")]

/// What a call is, in plain values.
pub mod domain;

/// The outside phone company: adapters, signatures, and the fake provider.
pub mod provider;
