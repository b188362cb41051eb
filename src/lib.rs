#![doc = include_str!("../README.md")]

// What a call is, in plain values.
pub mod domain;

// The life of a call, one verb a file.
pub mod flow;

// The outside phone company: adapters, signatures, and the fake provider.
pub mod provider;

// Which provider accounts this process knows, with their secrets.
pub mod trunks;

// The claim loop.
pub mod dispatcher;

// One dial.
pub mod dialer;

// Places where a test can end this process.
#[cfg(feature = "crash-points")]
mod crash;

// The sweep loop.
pub mod sweeper;

// The heartbeat loop.
pub mod heartbeat;

// The processes: which loops each consists of.
pub mod app;

// How exported calls are written.
pub mod export;

// Texts of others, shown so that they steer nothing.
pub mod shown;

// The demo.
pub mod demo;

// The life of a process: its loops, its signals, its end.
pub mod lifecycle;

// What this process counts.
pub mod metrics;

// Logs.
pub mod telemetry;

// Connections, migrations, and a private server.
pub mod db;

// Settings, read once.
pub mod config;

// The command line.
pub mod cli;

// The HTTP API, the webhook, and what operators scrape.
pub mod http;
