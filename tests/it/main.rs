//! Integration tests: one binary, one private Postgres, one database a test.

mod support;

mod claim;
mod processes;
