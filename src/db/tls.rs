//! Is the way to the database protected?
//!
//! Where nobody names an `sslmode` it is `prefer`: TLS without a look at the certificate, and
//! none if the other side says that it has none. Who stands between can say so. That is not
//! refused, because a network may be trusted and many databases have no certificate; it is
//! said, and `sslmode=disable` answers it as well as `verify-full` does.

use std::{net::IpAddr, sync::Once};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Warns, once in a process, of a way to another host that nobody has decided about.
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

/// `allow` is here because sqlx never uses TLS with it.
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
        // Named, so that a PGSSLMODE of whoever runs the test changes nothing.
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
