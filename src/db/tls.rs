//! Warns of unprotected connections to the database.
//!
//! Without `sslmode` the default is `prefer`: TLS without checking the certificate, and no TLS if the server
//! says that it has none; an attacker in between can say so. This is not refused, because a network may be
//! trusted and many databases have no certificate; it is logged, and `sslmode=disable` silences it as well as
//! `verify-full`.

use std::{net::IpAddr, sync::Once};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Warns, once per process, of a connection to another host without an explicit `sslmode`.
pub(super) fn warn_if_undecided(options: &PgConnectOptions) {
    static SAID: Once = Once::new();
    if is_undecided(options) {
        SAID.call_once(|| {
            tracing::warn!(
                host = options.get_host(),
                "the way to Postgres is open to whoever stands between: DATABASE_URL names no sslmode that \
                 insists on TLS. Add sslmode=verify-full (and sslrootcert=FILE for an authority of your own), \
                 or sslmode=disable where the network is trusted"
            );
        });
    }
}

/// Includes `allow`, with which sqlx never uses TLS.
fn is_undecided(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let local = options.get_socket().is_some()
        || host == "localhost"
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    !local && matches!(options.get_ssl_mode(), PgSslMode::Prefer | PgSslMode::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undecided(rest: &str) -> bool {
        // Explicit, so that a PGSSLMODE in the environment changes nothing.
        let url = format!("postgres://pgdial:password@{rest}");
        is_undecided(&url.parse().unwrap())
    }

    #[test]
    fn another_host_needs_a_decision() {
        for open in [
            "db.example.com/pgdial?sslmode=prefer",
            "db.example.com/pgdial?sslmode=allow",
            "10.0.0.7:6432/pgdial?sslmode=prefer",
            "localhost.example.com/pgdial?sslmode=prefer",
        ] {
            assert!(undecided(open), "{open}");
        }
        for decided in ["disable", "require", "verify-ca", "verify-full"] {
            let url = format!("db.example.com/pgdial?sslmode={decided}");
            assert!(!undecided(&url), "{url}");
        }
    }

    #[test]
    fn this_host_needs_none() {
        for local in [
            "localhost/pgdial?sslmode=prefer",
            "127.0.0.1:5432/pgdial?sslmode=prefer",
            "localhost/pgdial?host=%2Frun%2Fpostgresql&sslmode=prefer",
        ] {
            assert!(!undecided(local), "{local}");
        }
    }
}
