//! `keys`: who may use the API, and for what.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    Exit, Failure, Out,
    groups::refused,
    out::{instant, or_empty},
    values::{self, Interval},
};
use crate::{
    config,
    domain::{Scope, Sight, Why},
    flow::{Queue, view::Key},
};

/// Keys of the API: who may use it, and for what.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum KeysCommand {
    /// List them, with their latest use.
    List {
        /// Also those that are revoked or expired.
        #[arg(long)]
        all: bool,
    },
    /// Create one, and print it: this once, because only its hash is kept.
    Create(CreateArgs),
    /// Print another key of the same name, that may do the same; the one before it ends a while later.
    Rotate {
        /// Name of the key.
        name: String,
        /// How long the one before stays valid, 0s to 90d.
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = values::interval)]
        keep: Interval,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// End all keys of a name, in every process.
    Revoke {
        /// Name of the key.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
}

/// A new key.
#[derive(Debug, Clone, clap::Args)]
pub struct CreateArgs {
    /// Name of the key: of whoever is to use it. Calls and idempotency keys belong to it, and acts show it.
    pub name: String,
    /// What it may do. Each scope includes those before it.
    #[arg(long, value_name = "SCOPE")]
    pub scope: Scope,
    /// Bind it to this campaign; may be repeated. Default: to none.
    #[arg(long = "campaign", value_name = "NAME")]
    pub campaigns: Vec<String>,
    /// Whether it sees numbers, metadata and results.
    #[arg(long, value_name = "WHEN", default_value = "masked")]
    pub numbers: Sight,
    /// When it ends: an instant, or a length of time from now. Default: never.
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    pub expires: Option<Expiry>,
    /// Reason, kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At this instant.
    At(DateTime<Utc>),
    /// This long after now, by the database's clock.
    In(Duration),
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if let Ok(at) = values::instant(text) {
        return Ok(Expiry::At(at));
    }
    config::duration(text).map(Expiry::In).map_err(|_neither| {
        "write an instant or a length of time, as in 2030-01-31T09:00:00Z or 90d".to_owned()
    })
}

/// Runs one `keys` command.
pub async fn run(
    command: &KeysCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        KeysCommand::List { all } => list(&calls.keys(None, *all).await?, out)?,
        KeysCommand::Create(args) => {
            let key = create(args, calls, by).await?;
            let taken = || {
                let name = &args.name;
                Failure::failed(format!("a key named {name:?} is in use"))
                    .hint(format!("`pgdial keys rotate {name}` makes another one"))
            };
            show_once(&args.name, &key.ok_or_else(taken)?, out)?;
        }
        KeysCommand::Rotate { name, keep, why } => {
            let (keep, why) = (keep.to_sql(), why.as_deref());
            let key = calls.rotate_key(name, &keep, by, why).await;
            let key = key.map_err(refused)?;
            show_once(name, &key.ok_or_else(|| none_in_use(name))?, out)?;
        }
        KeysCommand::Revoke { name, why } => {
            let revoked = calls.revoke_key(name, by, why.as_deref()).await;
            match revoked.map_err(refused)? {
                0 => return Err(none_in_use(name)),
                revoked if out.style.json => out.json(&json!({ "revoked": revoked }))?,
                _ => out.line(format!("revoked: {name}"))?,
            }
        }
    }
    Ok(Exit::Ok)
}

async fn create(
    args: &CreateArgs,
    calls: &Queue,
    by: &str,
) -> Result<Option<SecretString>, Failure> {
    let expires_at = match args.expires {
        None => None,
        Some(Expiry::At(at)) => Some(at),
        Some(Expiry::In(time)) => {
            let too_late = || Failure::usage("--expires is too far away: leave it out for never");
            let at = calls.now().await?.checked_add_signed(
                chrono::Duration::from_std(time).map_err(|_too_long| too_late())?,
            );
            Some(at.ok_or_else(too_late)?)
        }
    };
    let campaigns = (!args.campaigns.is_empty()).then_some(&args.campaigns);
    let key = json!({
        "scope": args.scope, "campaigns": campaigns, "numbers": args.numbers,
        "expiresAt": expires_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)),
    });
    let created = calls.create_key(&args.name, &key, by, args.why.as_deref());
    created.await.map_err(refused)
}

fn none_in_use(name: &str) -> Failure {
    Failure::failed(format!("no key named {name:?} is in use")).hint(
        "`pgdial keys list` shows those there are; keys of PGDIAL_API_KEYS end where they are set",
    )
}

/// The key alone on stdout, for scripts.
fn show_once(name: &str, key: &SecretString, out: &mut Out) -> Result<(), Failure> {
    let key = key.expose_secret();
    if out.style.json {
        return out.json(&json!({ "name": name, "key": key }));
    }
    out.note("keep it now: it is not shown again");
    out.line(key)
}

fn list(keys: &[Key], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&keys);
    }
    let row = |key: &Key| {
        let campaigns = key.campaigns.as_ref();
        vec![
            key.name.clone(),
            key.hint.clone(),
            key.scope.as_str().to_owned(),
            campaigns.map_or_else(|| "all".to_owned(), |names| names.join(", ")),
            key.numbers.as_str().to_owned(),
            key.state.as_str().to_owned(),
            key.used_at.map_or_else(|| "never".to_owned(), instant),
            or_empty(key.expires_at.map(instant)),
            format!("{} by {}", instant(key.created_at), key.created_by),
        ]
    };
    let header = [
        "name",
        "begins",
        "scope",
        "campaigns",
        "numbers",
        "state",
        "used",
        "expires",
        "created",
    ];
    out.table(&header, keys.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_an_instant_or_after_a_while() {
        let at = "2030-01-31T09:00:00Z";
        assert_eq!(expiry(at), Ok(Expiry::At(at.parse().unwrap())));
        let days = Duration::from_hours(90 * 24);
        assert_eq!(expiry("90d"), Ok(Expiry::In(days)));
        assert!(expiry("soon").unwrap_err().contains("90d"));
    }
}
