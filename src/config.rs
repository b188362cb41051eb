//! Settings: read once, here, and passed down as plain values.
//!
//! Three sources, the first that names a setting wins: flags, the process environment,
//! a `.env` file. Nothing else in the program looks at the environment, so whoever
//! holds a [`Run`] holds everything that a process was told.
//!
//! The invariant: a [`Run`] exists only if *every* setting is right. Nothing is bound
//! and nobody is connected to before that, and all wrong settings are reported at once,
//! each with its name, what is wrong and an example ([`Problems`]). Secrets are taken
//! from the environment only, never from flags (a process list shows those), and no
//! message and no `Debug` shows one.
//!
//! Caps, paces and policies are not here: they are rows, which a person may change while
//! it runs.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;

use crate::{telemetry::LogFormat, trunks::Trunks};

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
pub use flags::{Common, Settings};
pub use problem::{Problem, Problems};
pub use read::{duration, one_of};
pub use secrets::ApiKey;
pub use variables::Variables;

use problem::Collected;

/// Everything that `serve`, `api` and `work` need to know.
#[derive(Debug, Clone)]
pub struct Run {
    /// The database.
    pub database_url: SecretString,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where metrics are answered besides; none = where the API is alone.
    pub metrics_listen: Option<SocketAddr>,
    /// Where the provider reaches us, without a slash at its end.
    pub public_url: String,
    /// The provider accounts that this process knows.
    pub trunks: Trunks,
    /// Who may use the API. Empty: everybody who reaches it, which is this host only.
    pub api_keys: Vec<ApiKey>,
    /// Dials at once.
    pub permits: usize,
    /// How long finished calls are kept; none = for ever.
    pub keep_finished: Option<Duration>,
    /// The longest sleep without a look for work; none = only wakes and due times.
    pub poll: Option<Duration>,
    /// How long a stop waits.
    pub grace: Duration,
    /// Streams of events at once.
    pub event_streams: usize,
    /// The largest webhook, in bytes.
    pub largest_webhook: usize,
    /// Migrate before starting.
    pub migrate: bool,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// An env-filter that parses.
    pub filter: String,
    /// Lines for people or for programs.
    pub format: LogFormat,
}

/// What a process does with the listen address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// It takes orders there, so somebody must be keeping strangers out.
    Open,
    /// It takes none.
    Closed,
}

impl Run {
    /// Reads everything. Beside the settings come the warnings: what is allowed, and
    /// probably not meant.
    pub fn read(
        common: &Common,
        settings: &Settings,
        variables: &Variables,
        api: Api,
    ) -> Result<(Self, Vec<String>), Problems> {
        let mut bad = Collected::default();
        let given = Given { variables };
        bad.keep(Log::from(common, variables, "info"));
        let database_url = bad.keep(database_url_of(common, variables));
        let listen = bad.keep(read::listen(
            given.of(settings.listen.as_ref(), "PGDIAL_LISTEN"),
        ));
        let metrics_listen = bad.keep(read::metrics_listen(
            given.of(settings.metrics_listen.as_ref(), "PGDIAL_METRICS_LISTEN"),
        ));
        let public_url = given.of(settings.public_url.as_ref(), "PGDIAL_PUBLIC_URL");
        let public_url = bad.keep(read::public_url(public_url, listen));
        let provider_url = given.of(settings.provider_url.as_ref(), trunks::DEFAULT_URL);
        let known = trunks::read(provider_url, variables, &mut bad);
        let api_keys = bad.keep(secrets::api_keys(variables.raw(secrets::API_KEYS)));
        if let (Some(listen), Some(keys), Api::Open) = (listen, &api_keys, api) {
            bad.keep(read::guarded(listen, keys));
        }
        let permits = bad.keep(read::number(
            given.of(settings.permits.as_ref(), "PGDIAL_PERMITS"),
            ("PGDIAL_PERMITS", "--permits"),
            1..=1000,
            30,
        ));
        let keep_finished = bad.keep(read::keep_finished(
            given.of(settings.keep_finished.as_ref(), "PGDIAL_KEEP_FINISHED"),
        ));
        let poll = bad.keep(read::poll(given.of(settings.poll.as_ref(), "PGDIAL_POLL")));
        let grace = bad.keep(read::grace(
            given.of(settings.grace.as_ref(), "PGDIAL_GRACE"),
        ));
        let event_streams = bad.keep(read::number(
            given.of(settings.event_streams.as_ref(), "PGDIAL_EVENT_STREAMS"),
            ("PGDIAL_EVENT_STREAMS", "--event-streams"),
            0..=1000,
            200,
        ));
        let largest_webhook = bad.keep(read::number(
            given.of(settings.largest_webhook.as_ref(), "PGDIAL_LARGEST_WEBHOOK"),
            ("PGDIAL_LARGEST_WEBHOOK", "--largest-webhook"),
            64..=65536,
            4096,
        ));
        let migrate = bad.keep(read::migrate(
            given.of(settings.migrate.as_ref(), "PGDIAL_MIGRATE"),
        ));
        let mut warnings = names::unknown(variables);
        let run = (|| {
            Some(Self {
                database_url: database_url?,
                listen: listen?,
                metrics_listen: metrics_listen?,
                public_url: public_url?,
                trunks: known?,
                api_keys: api_keys?,
                permits: permits?.try_into().ok()?,
                keep_finished: keep_finished?,
                poll: poll?,
                grace: grace?,
                event_streams: event_streams?.try_into().ok()?,
                largest_webhook: usize::try_from(largest_webhook?).ok()? * 1024,
                migrate: migrate?,
            })
        })();
        let run = bad.done(run, &warnings)?;
        warnings.extend(run.oddities(api, &trunks::addresses(provider_url, variables)));
        Ok((run, warnings))
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
        if elsewhere && read::is_loopback_url(&self.public_url) {
            odd.push(format!(
                "PGDIAL_PUBLIC_URL is {}: a provider on another host cannot send its webhooks there",
                self.public_url
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
        let given = Given { variables };
        let filter = read::filter(given.of(common.log.as_ref(), "PGDIAL_LOG"), usual);
        let format = read::log_format(given.of(common.log_format.as_ref(), "PGDIAL_LOG_FORMAT"));
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
    let given = Given { variables };
    let is_set = given
        .of(common.database_url.as_ref(), "DATABASE_URL")
        .is_some();
    is_set.then(|| database_url(common, variables)).transpose()
}

/// The provider accounts alone, for commands that ask them something.
pub fn trunks(variables: &Variables) -> Result<Trunks, Problems> {
    let mut bad = Collected::default();
    let provider_url = variables.get(trunks::DEFAULT_URL);
    let known = trunks::read(provider_url, variables, &mut bad);
    bad.done(known, &names::unknown(variables))
}

/// The same with what a process that stays is told by flags.
pub fn trunks_told(settings: &Settings, variables: &Variables) -> Result<Trunks, Problems> {
    let mut bad = Collected::default();
    let given = Given { variables };
    let provider_url = given.of(settings.provider_url.as_ref(), trunks::DEFAULT_URL);
    let known = trunks::read(provider_url, variables, &mut bad);
    bad.done(known, &[])
}

/// The address of a trunk's provider as it is set, without a password that stands in it.
pub fn provider_address(settings: &Settings, variables: &Variables, trunk: &str) -> Option<String> {
    let names = trunks::names_of(trunk);
    let flag = settings.provider_url.as_deref();
    let set = match (names.url == trunks::DEFAULT_URL, flag) {
        (true, Some(flag)) => Some(flag),
        _ => variables.get(&names.url),
    }?;
    Some(match (set.split_once("://"), set.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => set.to_owned(),
    })
}

/// The secrets that sign a trunk's webhooks, whatever they are: for signing by hand.
pub fn webhook_secrets(
    variables: &Variables,
    trunk: &str,
) -> Result<crate::provider::signature::Secrets, Problems> {
    let mut bad = Collected::default();
    let name = trunks::names_of(trunk).secrets;
    let secrets = bad.keep(secrets::any_webhook_secrets(&name, variables.raw(&name)));
    bad.done(secrets, &names::unknown(variables))
}

/// Where the provider reaches us, for commands that print it.
pub fn public_url(settings: &Settings, variables: &Variables) -> Result<String, Problems> {
    let mut bad = Collected::default();
    let given = Given { variables };
    let listen = bad.keep(read::listen(
        given.of(settings.listen.as_ref(), "PGDIAL_LISTEN"),
    ));
    let public_url = given.of(settings.public_url.as_ref(), "PGDIAL_PUBLIC_URL");
    let public_url = bad.keep(read::public_url(public_url, listen));
    bad.done(public_url, &[])
}

fn database_url_of(common: &Common, variables: &Variables) -> Result<SecretString, Problem> {
    let given = Given { variables };
    if let Some(flag) = &common.database_url {
        read::without_password(flag)?;
    }
    read::database_url(given.of(common.database_url.as_ref(), "DATABASE_URL"))
}

/// A flag, or the variable of the same meaning.
struct Given<'a> {
    variables: &'a Variables,
}

impl<'a> Given<'a> {
    /// An empty text counts as not given: compose files pass `NAME=` for what is not set.
    fn of(&self, flag: Option<&'a String>, name: &str) -> Option<&'a str> {
        let flag = flag.map(|text| text.trim()).filter(|text| !text.is_empty());
        flag.or_else(|| self.variables.get(name))
    }
}
