//! URLs and psql command lines.

use std::{fmt::Write as _, os::unix::ffi::OsStrExt, path::Path};

/// Superuser of every private cluster.
pub(super) const USER: &str = "pgdial";

/// Part of the socket file's name; nothing listens on it.
///
/// It is in the URL because a `PGPORT` of the environment would replace a missing one.
pub(super) const PORT: &str = "5432";

/// A URL that sqlx and libpq both accept. TLS is disabled explicitly, because a `PGSSLMODE=require` of the
/// environment would otherwise apply to a Unix socket.
pub(super) fn url(socket_dir: &Path, database: &str) -> String {
    let host = percent_encoded(socket_dir.as_os_str().as_bytes());
    let database = percent_encoded(database.as_bytes());
    format!("postgres://{USER}@localhost:{PORT}/{database}?host={host}&sslmode=disable")
}

/// A command line for a shell.
pub(super) fn psql_line(socket_dir: &Path, database: &str) -> String {
    let host = shell_word(&socket_dir.to_string_lossy());
    format!("psql -h {host} -U {USER} -d {}", shell_word(database))
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").unwrap_or_default(); // a String takes every write
        }
        text
    })
}

fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/+@:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    #[test]
    fn sqlx_reads_the_socket_and_the_database_back_from_the_url() {
        let options: PgConnectOptions = url(Path::new("/tmp/a b+c%"), "my db").parse().unwrap();
        assert_eq!(
            options.get_socket(),
            Some(&Path::new("/tmp/a b+c%").to_path_buf())
        );
        assert_eq!(options.get_database(), Some("my db"));
        assert_eq!((options.get_username(), options.get_port()), (USER, 5432));
    }

    #[test]
    fn a_plain_path_stays_plain_and_an_odd_one_is_quoted_for_the_shell() {
        assert_eq!(
            psql_line(Path::new("/tmp/pg"), "postgres"),
            "psql -h /tmp/pg -U pgdial -d postgres"
        );
        assert_eq!(
            psql_line(Path::new("/tmp/o'x y"), "p"),
            r"psql -h '/tmp/o'\''x y' -U pgdial -d p"
        );
    }
}
