//! Settings: read once, here, and passed down as plain values.
//!
//! Three sources, the first that names a setting wins: flags, the process environment,
//! a `.env` file. Nothing else in the program looks at the environment, so whoever
//! holds [`Settings`] holds everything that a process was told.
//!
//! The invariant: [`Settings`] exist only if *every* setting is right. Nothing is bound
//! and nobody is connected to before that, and all wrong settings are reported at once,
//! each with its name, what is wrong and an example ([`Problems`]). Secrets are taken
//! from the environment only, never from flags (a process list shows those), and no
//! message and no `Debug` shows one.
//!
//! Caps, paces and policies are not here: they are rows, which a person may change while
//! it runs.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::{provider::Provider, trunks::Trunks};

// What a command line may say.
mod flags;

// What is wrong, collected.
mod problem;

// The process environment and the `.env` file.
mod variables;

// Single settings from their texts.
mod read;

// Secrets, keys, and what is none.
mod secrets;

// Trunks from their variables.
mod trunks;

// The names there are, and the nearest to one that is not.
mod names;

#[cfg(test)]
mod tests;

pub(crate) use flags::GLOBAL;
pub use flags::{Common, Flags};
pub use problem::{Problem, Problems};
pub use read::{duration, one_of};
pub use secrets::ApiKey;
pub use variables::Variables;

use problem::Collected;

/// Everything that `serve`, `api` and `work` need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database.
    pub database_url: SecretString,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where metrics are answered too; none = where the API is alone.
    pub metrics_listen: Option<SocketAddr>,
    /// Who may use the API. Empty: everybody who reaches it, which is this host only.
    pub api_keys: Vec<ApiKey>,
    /// Streams of events at once.
    pub event_streams: usize,
    /// The largest webhook, in bytes.
    pub largest_webhook: usize,
    /// Migrate before starting.
    pub migrate: bool,
    /// How long a stop waits for dials under way and requests.
    pub grace: Duration,
    /// The worker's share.
    pub worker: WorkerSettings,
}

/// What a worker needs to know.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The provider accounts that this process knows.
    pub trunks: Trunks,
    /// Where the provider reaches us, without a slash at its end.
    pub public_url: String,
    /// Dials at once.
    pub permits: usize,
    /// The longest sleep without a look for work; none = only wakes and due times.
    pub poll: Option<Duration>,
    /// How long finished calls are kept; none = for ever.
    pub keep_finished: Option<Duration>,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// An env-filter that parses.
    pub filter: String,
    /// Lines for people or for programs.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// What a process does with the listen address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// It takes orders there, so somebody must be keeping strangers out.
    Open,
    /// It takes none.
    Closed,
}

impl Settings {
    /// Reads everything. Beside the settings come the warnings: what is allowed, and
    /// probably not meant.
    pub fn read(
        common: &Common,
        flags: &Flags,
        variables: &Variables,
        api: Api,
    ) -> Result<(Self, Vec<String>), Problems> {
        let mut reader = Reader::of(variables);
        reader.bad.keep(Log::from(common, variables, "info"));
        let database_url = reader.bad.keep(database_url_of(common, variables));
        let listen = reader.read("PGDIAL_LISTEN", flags.listen.as_ref(), read::listen);
        let metrics_listen = reader.read(
            "PGDIAL_METRICS_LISTEN",
            flags.metrics_listen.as_ref(),
            read::metrics_listen,
        );
        let public_url = reader.public_url(flags, listen);
        let provider_url = reader.given(trunks::DEFAULT_URL, flags.provider_url.as_ref());
        let trunks = trunks::read(provider_url, variables, &mut reader.bad);
        let api_keys = secrets::api_keys(variables.raw(secrets::API_KEYS));
        let api_keys = reader.bad.keep(api_keys);
        if let (Some(listen), Some(keys), Api::Open) = (listen, &api_keys, api) {
            reader.bad.keep(read::guarded(listen, keys));
        }
        let permits = read::number(1..=1000, 30);
        let permits = reader.read("PGDIAL_PERMITS", flags.permits.as_ref(), permits);
        let keep_finished = flags.keep_finished.as_ref();
        let keep_finished = reader.read("PGDIAL_KEEP_FINISHED", keep_finished, read::keep_finished);
        let poll = reader.read("PGDIAL_POLL", flags.poll.as_ref(), read::poll);
        let grace = reader.read("PGDIAL_GRACE", flags.grace.as_ref(), read::grace);
        let streams = read::number(0..=1000, 200);
        let event_streams = reader.read(
            "PGDIAL_EVENT_STREAMS",
            flags.event_streams.as_ref(),
            streams,
        );
        let kib = read::number(64..=65536, 4096);
        let largest = reader.read(
            "PGDIAL_LARGEST_WEBHOOK",
            flags.largest_webhook.as_ref(),
            kib,
        );
        let migrate = reader.read("PGDIAL_MIGRATE", flags.migrate.as_ref(), read::migrate);
        let mut warnings = names::unknown(variables);
        let settings = (|| {
            Some(Self {
                database_url: database_url?,
                listen: listen?,
                metrics_listen: metrics_listen?,
                api_keys: api_keys?,
                event_streams: event_streams?,
                largest_webhook: largest? * 1024,
                migrate: migrate?,
                grace: grace?,
                worker: WorkerSettings {
                    trunks: trunks?,
                    public_url: public_url?,
                    permits: permits?,
                    poll: poll?,
                    keep_finished: keep_finished?,
                },
            })
        })();
        let settings = reader.bad.done(settings, &warnings)?;
        warnings.extend(settings.oddities(api, &trunks::addresses(provider_url, variables)));
        Ok((settings, warnings))
    }

    /// Allowed, and probably not meant.
    fn oddities(&self, api: Api, providers: &[(String, &str)]) -> Vec<String> {
        let mut odd = Vec::new();
        if api == Api::Open && self.api_keys.is_empty() {
            odd.push(format!(
                "PGDIAL_API_KEYS is not set: whoever is on this host may order calls; listening on {} only",
                self.listen
            ));
        }
        for (name, url) in providers {
            if read::is_open_to_others(url) {
                odd.push(format!(
                    "{name} is {url}: numbers and the provider's key can be read and changed on their way; use https:// unless the network is trusted"
                ));
            }
        }
        let elsewhere = providers.iter().any(|(_, url)| !read::is_loopback_url(url));
        if elsewhere && read::is_loopback_url(&self.worker.public_url) {
            odd.push(format!(
                "PGDIAL_PUBLIC_URL is {}: a provider on another host cannot send its webhooks there",
                self.worker.public_url
            ));
        }
        odd
    }
}

impl Log {
    /// What is logged; `usual` is the filter where nobody names one.
    pub fn read(common: &Common, variables: &Variables, usual: &str) -> Result<Self, Problems> {
        let mut bad = Collected::default();
        let log = bad.keep(Self::from(common, variables, usual));
        bad.done(log, &[])
    }

    fn from(common: &Common, variables: &Variables, usual: &str) -> Result<Self, Vec<Problem>> {
        let reader = Reader::of(variables);
        let filter = read::filter(reader.given("PGDIAL_LOG", common.log.as_ref()), usual);
        let format = reader.given("PGDIAL_LOG_FORMAT", common.log_format.as_ref());
        let format = read::log_format(format);
        match (filter, format) {
            (Ok(filter), Ok(format)) => Ok(Self { filter, format }),
            (filter, format) => Err(filter.err().into_iter().chain(format.err()).collect()),
        }
    }
}

/// The database alone, for commands that need nothing else.
pub fn database_url(common: &Common, variables: &Variables) -> Result<SecretString, Problems> {
    let mut bad = Collected::default();
    let url = bad.keep(database_url_of(common, variables));
    bad.done(url, &[])
}

/// The database, for commands that can do without: they start one of their own.
pub fn database_url_if_set(
    common: &Common,
    variables: &Variables,
) -> Result<Option<SecretString>, Problems> {
    let given = Reader::of(variables).given("DATABASE_URL", common.database_url.as_ref());
    given
        .is_some()
        .then(|| database_url(common, variables))
        .transpose()
}

/// The provider accounts alone, for commands that ask them something.
pub fn trunks(variables: &Variables) -> Result<Trunks, Problems> {
    let mut bad = Collected::default();
    let provider_url = variables.get(trunks::DEFAULT_URL);
    let known = trunks::read(provider_url, variables, &mut bad);
    bad.done(known, &names::unknown(variables))
}

/// The same with what a process that stays is told by flags.
pub fn trunks_told(flags: &Flags, variables: &Variables) -> Result<Trunks, Problems> {
    let mut reader = Reader::of(variables);
    let provider_url = reader.given(trunks::DEFAULT_URL, flags.provider_url.as_ref());
    let known = trunks::read(provider_url, variables, &mut reader.bad);
    reader.bad.done(known, &[])
}

/// The address of a trunk's provider as it is set, without a password that stands in it.
pub fn provider_address(flags: &Flags, variables: &Variables, trunk: &str) -> Option<String> {
    let variable = trunks::url_variable(trunk);
    let flag = flags.provider_url.as_deref();
    let set = match (variable == trunks::DEFAULT_URL, flag) {
        (true, Some(flag)) => Some(flag),
        _ => variables.get(&variable),
    }?;
    Some(match (set.split_once("://"), set.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => set.to_owned(),
    })
}

/// The adapter of a trunk that is an account at a platform; none for one that speaks pgdial's protocol, whose
/// reports can be read without any setting.
pub fn platform(variables: &Variables, trunk: &str) -> Result<Option<Arc<dyn Provider>>, Problems> {
    if trunks::speaks_protocol(variables, trunk) {
        return Ok(None);
    }
    let trunks = trunks(variables)?;
    Ok(trunks.get(trunk).map(|trunk| Arc::clone(&trunk.provider)))
}

/// The secrets that sign a trunk's webhooks, whatever they are: for signing by hand.
pub fn webhook_secrets(
    variables: &Variables,
    trunk: &str,
) -> Result<crate::provider::signature::Secrets, Problems> {
    let mut bad = Collected::default();
    let name = trunks::secrets_variable(trunk);
    let secrets = bad.keep(secrets::any_webhook_secrets(&name, variables.raw(&name)));
    bad.done(secrets, &names::unknown(variables))
}

/// Where the provider reaches us, for commands that print it.
pub fn public_url(flags: &Flags, variables: &Variables) -> Result<String, Problems> {
    let mut reader = Reader::of(variables);
    let listen = reader.read("PGDIAL_LISTEN", flags.listen.as_ref(), read::listen);
    let public_url = reader.public_url(flags, listen);
    reader.bad.done(public_url, &[])
}

fn database_url_of(common: &Common, variables: &Variables) -> Result<SecretString, Problem> {
    const NAME: &str = "DATABASE_URL";
    let flag = common.database_url.as_ref();
    if let Some(flag) = flag {
        read::without_password(flag)?;
    }
    read::database_url(NAME, Reader::of(variables).given(NAME, flag))
}

/// Reads one setting after the other, and goes on after a wrong one.
struct Reader<'a> {
    variables: &'a Variables,
    bad: Collected,
}

impl<'a> Reader<'a> {
    fn of(variables: &'a Variables) -> Self {
        let bad = Collected::default();
        Self { variables, bad }
    }

    /// A flag, or the variable of the same meaning. An empty text counts as not given: compose files pass
    /// `NAME=` for what is not set.
    fn given(&self, name: &str, flag: Option<&'a String>) -> Option<&'a str> {
        let flag = flag.map(|text| text.trim()).filter(|text| !text.is_empty());
        flag.or_else(|| self.variables.get(name))
    }

    fn read<T>(
        &mut self,
        name: &str,
        flag: Option<&'a String>,
        read: impl FnOnce(&str, Option<&str>) -> Result<T, Problem>,
    ) -> Option<T> {
        let given = self.given(name, flag);
        self.bad.keep(read(name, given))
    }

    fn public_url(&mut self, flags: &'a Flags, listen: Option<SocketAddr>) -> Option<String> {
        let read = |name: &str, text: Option<&str>| read::public_url(name, text, listen);
        self.read("PGDIAL_PUBLIC_URL", flags.public_url.as_ref(), read)
    }
}
