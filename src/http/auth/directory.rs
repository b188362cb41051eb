//! The keys that this process knows: those of its settings, and a copy of those in the database.
//!
//! A request costs no statement: the copy serves all requests for [`FRESH`], and the next one after that, or
//! after a notification that keys changed, reads it anew. So a key that is made, revoked or has expired is
//! treated so at once where the notification is heard, and after [`FRESH`] at the latest where it is not. While
//! the database cannot be read, keys of the settings are known, and about all others nothing is: such requests
//! are refused as `unavailable`, never taken by an old copy.
//!
//! Expiry is the database's to judge, by its clock: it says for how long a key is valid from now on, and this
//! process measures only how long ago that was, from before it asked.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderMap;

use super::{
    super::{
        Settings,
        problem::{Code, Limited, Problem},
    },
    ANONYMOUS, ApiKeys, Door, Owner, Session, VIEWER, bearer, digest, is_cross_site, is_forwarded,
    is_local, is_same,
};
use crate::{
    domain::{Scope, Sight},
    flow::{Queue, keys::KnownKey},
    provider::Stopwatch,
};

/// Age at which the copy is read anew.
const FRESH: Duration = Duration::from_secs(2);
/// Age of a key's latest noted use at which the next one is noted.
const NOTED: Duration = Duration::from_mins(1);

/// Wrong keys in [`PER`] that are answered each for itself.
const ATTEMPTS: u32 = 20;
const PER: Duration = Duration::from_mins(1);

/// All keys. Clones share the copy.
#[derive(Debug, Clone)]
pub(in crate::http) struct Directory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    configured: ApiKeys,
    /// Without any key, everybody on this host is let in.
    is_open: bool,
    /// Without a key, everybody on this host may see the page.
    is_viewable: bool,
    calls: Queue,
    copy: Mutex<Option<Arc<Copy>>>,
    /// Wrong keys that people tried to sign in with lately.
    attempts: Mutex<Attempts>,
    /// Held by the request that reads the copy; others wait for it, and then have it.
    reading: tokio::sync::Mutex<()>,
}

/// Keeps whoever guesses from filling log and counters. It keeps nobody from guessing, and need not: a key of ours has
/// 192 random bits. So it never stands in the way of a right key, whoever else tries wrong ones.
#[derive(Debug)]
struct Attempts {
    since: Stopwatch,
    count: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            since: Stopwatch::start(),
            count: 0,
        }
    }
}

/// Keys as the database had them.
#[derive(Debug)]
struct Copy {
    asked: Stopwatch,
    /// Changes heard of before it was asked.
    changes: u64,
    keys: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: KnownKey,
    owner: Owner,
    /// A request has taken on to note the use.
    is_noted: AtomicBool,
}

/// Why a request is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NoKey,
    Unknown,
    Revoked,
    Expired,
    NoSession,
}

impl Directory {
    pub(in crate::http) fn new(settings: &Settings, calls: Queue) -> Self {
        Self(Arc::new(Shared {
            configured: settings.api_keys.clone(),
            is_open: settings.is_open,
            is_viewable: settings.is_viewable,
            calls,
            copy: Mutex::new(None),
            attempts: Mutex::default(),
            reading: tokio::sync::Mutex::new(()),
        }))
    }

    pub(super) fn calls(&self) -> &Queue {
        &self.0.calls
    }

    /// Whose request this is.
    pub(in crate::http) async fn owner(
        &self,
        headers: &HeaderMap,
        door: Door,
    ) -> Result<Owner, Problem> {
        let named = match bearer(headers) {
            Some(hash) => self.owner_of(&hash).await?,
            None => self.owner_of_session(headers).await?,
        };
        let refusal = match named {
            Ok(owner) => return Ok(owner),
            Err(refusal) => refusal,
        };
        // Where no key is needed, a wrong one is no fault.
        if self.is_open_to(headers).await? {
            return Ok(self.anonymous());
        }
        if door == Door::Page && self.0.is_viewable && is_local(headers) && !is_forwarded(headers) {
            return Ok(Owner::of(VIEWER, Scope::Read, None, Sight::Masked));
        }
        self.calls().metrics().key_refused(refusal.as_str());
        Err(refusal.into())
    }

    /// Whose key this is, and its hash.
    pub(in crate::http) async fn sign_in(
        &self,
        headers: &HeaderMap,
        key: &str,
    ) -> Result<(Owner, [u8; 32]), Problem> {
        if is_cross_site(headers) {
            return Err(Problem::new(
                Code::Forbidden,
                "a page of another site cannot sign in here",
            ));
        }
        let hash = digest(key.trim().as_bytes());
        let refusal = match self.owner_of(&hash).await? {
            Ok(owner) => return Ok((owner, hash)),
            Err(refusal) => refusal,
        };
        self.calls().metrics().key_refused(refusal.as_str());
        let mut attempts = self
            .0
            .attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if attempts.since.elapsed() >= PER {
            *attempts = Attempts::default();
        }
        attempts.count += 1;
        if attempts.count > ATTEMPTS {
            let detail =
                "too many wrong keys were tried: try again in a minute, with a right one at once";
            let left = PER.saturating_sub(attempts.since.elapsed()).as_secs();
            return Err(Problem::new(Code::TooManyAttempts, detail)
                .retry_after(60)
                .limited(Limited {
                    name: "wrong-keys",
                    quota: ATTEMPTS,
                    window: PER.as_secs(),
                    reset: left,
                }));
        }
        Err(refusal.into())
    }

    async fn owner_of_session(
        &self,
        headers: &HeaderMap,
    ) -> Result<Result<Owner, Refusal>, Problem> {
        let Some(session) = Session::named(headers) else {
            return Ok(Err(Refusal::NoKey));
        };
        let Some(key) = self.calls().key_of_session(&session.hash).await? else {
            return Ok(Err(Refusal::NoSession));
        };
        let owner = self.owner_of(&key).await?;
        Ok(owner.map(|owner| Owner {
            standing: Some(Standing {
                directory: self.clone(),
                basis: owner
                    .standing
                    .map_or(Basis::Settings, |standing| standing.basis),
                session: Some(session.hash),
            }),
            session: Some(session),
            ..owner
        }))
    }

    async fn owner_of(&self, hash: &[u8; 32]) -> Result<Result<Owner, Refusal>, Problem> {
        if let Some(owner) = self.0.configured.owner(hash) {
            return Ok(Ok(owner));
        }
        let copy = self.copy().await?;
        let entry = match copy.find(hash) {
            Ok(entry) => entry,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if entry.is_to_be_noted(copy.asked.elapsed()) {
            // Before the request, not beside it: a task that nobody awaits could be lost.
            if let Err(error) = self.calls().used_keys(&[entry.key.id]).await {
                tracing::warn!(%error, key = entry.key.name, "the use of a key could not be noted");
            }
        }
        let standing = Some(Standing {
            directory: self.clone(),
            basis: Basis::Key(*hash),
            session: None,
        });
        Ok(Ok(Owner {
            standing,
            ..entry.owner.clone()
        }))
    }

    fn anonymous(&self) -> Owner {
        let standing = Some(Standing {
            directory: self.clone(),
            basis: Basis::Open,
            session: None,
        });
        Owner {
            standing,
            ..Owner::of_everything(ANONYMOUS)
        }
    }

    /// Whether this request needs no key, because there is none.
    async fn is_open_to(&self, headers: &HeaderMap) -> Result<bool, Problem> {
        let may_be = self.0.is_open && self.0.configured.is_empty() && is_local(headers);
        Ok(may_be && self.copy().await?.keys.is_empty())
    }

    async fn copy(&self) -> Result<Arc<Copy>, Problem> {
        if let Some(copy) = self.fresh_copy() {
            return Ok(copy);
        }
        let _turn = self.0.reading.lock().await;
        if let Some(copy) = self.fresh_copy() {
            return Ok(copy);
        }
        let (asked, changes) = (Stopwatch::start(), self.calls().key_changes());
        let keys = self.calls().known_keys().await?;
        let keys = keys.into_iter().map(Entry::of).collect();
        let copy = Arc::new(Copy {
            asked,
            changes,
            keys,
        });
        *self.lock() = Some(Arc::clone(&copy));
        Ok(copy)
    }

    fn fresh_copy(&self) -> Option<Arc<Copy>> {
        let copy = self.lock().clone()?;
        let is_fresh = copy.asked.elapsed() < FRESH && copy.changes == self.calls().key_changes();
        is_fresh.then_some(copy)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Copy>>> {
        self.0.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an owner was let in.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    directory: Directory,
    basis: Basis,
    /// The hash of its session, if it has one.
    session: Option<[u8; 32]>,
}

#[derive(Debug, Clone, Copy)]
enum Basis {
    /// A key of the settings, which stays while the process runs.
    Settings,
    /// A key in the database, by its hash.
    Key([u8; 32]),
    /// There is no key.
    Open,
}

impl Standing {
    pub(super) async fn check(&self) -> Result<(), Problem> {
        if let Some(session) = &self.session
            && self
                .directory
                .calls()
                .key_of_session(session)
                .await?
                .is_none()
        {
            return Err(Refusal::NoSession.into());
        }
        match self.basis {
            Basis::Settings => Ok(()),
            Basis::Key(hash) => {
                let copy = self.directory.copy().await?;
                copy.find(&hash).map(drop).map_err(Problem::from)
            }
            Basis::Open => {
                let is_open = self.directory.copy().await?.keys.is_empty();
                is_open.then_some(()).ok_or_else(|| Refusal::NoKey.into())
            }
        }
    }
}

impl Copy {
    /// The key with this hash. Always compares with every key, so that timing reveals nothing.
    fn find(&self, hash: &[u8; 32]) -> Result<&Entry, Refusal> {
        let mut found = None;
        for entry in &self.keys {
            if is_same(&entry.key.hash, hash) {
                found = Some(entry);
            }
        }
        let entry = found.ok_or(Refusal::Unknown)?;
        let age = i64::try_from(self.asked.elapsed().as_millis()).unwrap_or(i64::MAX);
        if entry.key.is_revoked {
            Err(Refusal::Revoked)
        } else if entry.key.expires_ms.is_some_and(|expires| expires <= age) {
            Err(Refusal::Expired)
        } else {
            Ok(entry)
        }
    }
}

impl Entry {
    fn of(key: KnownKey) -> Self {
        let owner = Owner::of(&key.name, key.scope, key.campaigns.clone(), key.numbers);
        Self {
            key,
            owner,
            is_noted: AtomicBool::new(false),
        }
    }

    /// Whether this use is the one to note, for a copy of this age. True once.
    fn is_to_be_noted(&self, age: Duration) -> bool {
        let noted = self
            .key
            .used_ms
            .map(|used| u64::try_from(used).unwrap_or(0));
        let is_due = noted.is_none_or(|noted| Duration::from_millis(noted) + age >= NOTED);
        is_due && !self.is_noted.swap(true, Ordering::AcqRel)
    }
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::NoSession => "no_session",
        }
    }
}

/// Whoever has a key that was one may know what became of it.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (detail, challenge) = match refusal {
            Refusal::NoKey => (
                "send an API key of this server: Authorization: Bearer <key> \
                 (a server without keys answers under localhost and 127.0.0.1 only, and no page of another site)",
                "Bearer",
            ),
            Refusal::Unknown => (
                "this is no key of this server: send one in full, as `pgdial keys create` printed it \
                 or PGDIAL_API_KEYS has it",
                INVALID,
            ),
            Refusal::Revoked => (
                "this key was revoked: ask an administrator of this server for another",
                INVALID,
            ),
            Refusal::Expired => (
                "this key has expired: ask an administrator of this server for another",
                INVALID,
            ),
            Refusal::NoSession => ("the session is over: sign in again", "Bearer"),
        };
        Self::new(Code::Unauthorized, detail).challenge(challenge)
    }
}

/// Challenge to a bearer token that is not taken (RFC 6750).
const INVALID: &str = "Bearer error=\"invalid_token\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: i64, is_revoked: bool, expires_ms: Option<i64>, used_ms: Option<i64>) -> KnownKey {
        KnownKey {
            id,
            name: format!("key-{id}"),
            hash: [u8::try_from(id).unwrap(); 32],
            scope: Scope::Read,
            campaigns: None,
            numbers: Sight::Masked,
            is_revoked,
            expires_ms,
            used_ms,
        }
    }

    #[test]
    fn a_key_is_known_until_it_ends() {
        let keys = [
            key(1, false, None, None),
            key(2, true, None, None),
            key(3, false, Some(0), None),
            key(4, false, Some(3_600_000), None),
            key(5, true, Some(-1), None),
        ];
        let copy = Copy {
            asked: Stopwatch::start(),
            changes: 0,
            keys: keys.into_iter().map(Entry::of).collect(),
        };
        for (id, known) in [
            (1, Ok("key-1")),
            (2, Err(Refusal::Revoked)),
            (3, Err(Refusal::Expired)),
            (4, Ok("key-4")),
            (5, Err(Refusal::Revoked)),
            (6, Err(Refusal::Unknown)),
        ] {
            let found = copy.find(&[id; 32]).map(|entry| entry.owner.as_str());
            assert_eq!(found, known, "{id}");
        }
    }

    #[test]
    fn one_use_a_minute_is_noted() {
        let seconds = Duration::from_secs;
        for (used_ms, age, is_due) in [
            (None, seconds(0), true),
            (Some(0), seconds(59), false),
            (Some(0), seconds(60), true),
            (Some(59_000), seconds(1), true),
            (Some(58_000), seconds(1), false),
            (Some(-5), seconds(1), false),
        ] {
            let entry = Entry::of(key(1, false, None, used_ms));
            assert_eq!(entry.is_to_be_noted(age), is_due, "{used_ms:?} {age:?}");
            assert!(!entry.is_to_be_noted(age), "twice");
        }
    }
}
