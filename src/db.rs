//! Connections, migrations, and a private server.

/// A private Postgres server from the machine's own binaries.
pub mod private;
