//! The account that runs the server if we are root.
//!
//! Postgres refuses root, so root becomes `postgres`, or `nobody` if there is no such account. Other users
//! run the server as themselves.

use std::{fs, os::unix::process::CommandExt, process::Command};

use super::Error;

/// An account of this machine to run the server as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Account to become; none if we need not change.
pub(super) fn to_become() -> Result<Option<Account>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").map_err(Error::io("read", "/etc/passwd"))?;
    choose(&passwd).map(Some).ok_or(Error::NoAccount)
}

/// Makes the command run as the account. The standard library clears the supplementary groups itself.
pub(super) fn become_in(command: &mut Command, account: Option<&Account>) {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
}

fn choose(passwd: &str) -> Option<Account> {
    let accounts: Vec<Account> = passwd.lines().filter_map(parse).collect();
    let named = |name: &str| {
        accounts
            .iter()
            .find(|account| account.name == name && account.uid != 0)
            .cloned()
    };
    named("postgres")
        .or_else(|| named("_postgres"))
        .or_else(|| named("nobody"))
}

/// Parses a line of /etc/passwd: name, password, uid, gid, and more.
fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = number(fields.nth(1)?)?;
    let gid = number(fields.next()?)?;
    Some(Account { name, uid, gid })
}

/// macOS writes the id of `nobody` as -2.
fn number(text: &str) -> Option<u32> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: &str =
        "root:x:0:0:root:/root:/bin/bash\nnobody:*:-2:-2:Nobody:/var/empty:/usr/bin/false\n";

    #[test]
    fn nobody_runs_the_server_where_no_postgres_account_exists() {
        let account = choose(NOBODY).unwrap();
        assert_eq!(
            account,
            Account {
                name: "nobody".to_owned(),
                uid: u32::MAX - 1,
                gid: u32::MAX - 1
            }
        );
    }

    #[test]
    fn the_postgres_account_is_preferred() {
        let passwd = format!("{NOBODY}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n");
        assert_eq!(choose(&passwd).unwrap().uid, 101);
    }

    #[test]
    fn an_alias_of_root_is_never_chosen() {
        assert_eq!(choose("postgres:x:0:0::/:/bin/sh\n+::::::\n"), None);
    }
}
