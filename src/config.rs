//! Settings: read once, here, and passed down as plain values.
//!
//! Three sources, the first that has a setting wins: flags, the process environment, a `.env` file. Nothing
//! else in the program reads the environment, so [`Settings`] holds all configuration of a process.
//!
//! The invariant: [`Settings`] exist only if *every* setting is valid. Nothing is bound and nothing connected
//! before that, and all invalid settings are reported at once, each with its name, the error and an example
//! ([`Problems`]). Secrets are taken from the environment only, never from flags (which a process list
//! shows), and no message and no `Debug` shows one.
//!
//! Caps, paces and policies are not here: they are rows, which can be changed at run time.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::{domain::Networks, provider::Provider, trunks::Trunks};

// Command line flags.
mod flags;

// Collected errors.
mod problem;

mod variables;

// Parsing of single settings.
mod read;

// Secrets and API keys, and rejecting placeholders.
mod secrets;

// Trunks from their variables.
mod trunks;

// Known variable names, and the closest one to a misspelled name.
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

/// Settings of `serve`, `api` and `work`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Postgres URL, with its password.
    pub database_url: SecretString,
    /// Address of the API.
    pub listen: SocketAddr,
    /// Additional listen address for /metrics; none means only the API's.
    pub metrics_listen: Option<SocketAddr>,
    /// API keys. If there is none in the database either, every client of this host is allowed.
    pub api_keys: Vec<ApiKey>,
    /// Limit of concurrent event streams.
    pub event_streams: usize,
    /// Size limit of a webhook, in bytes.
    pub largest_webhook: usize,
    /// Whether whoever is on this host may see the page without a key.
    pub open_view: bool,
    /// Whether to migrate before starting.
    pub migrate: bool,
    /// How long a stop waits for dials and requests under way.
    pub grace: Duration,
    /// Settings of the worker.
    pub worker: WorkerSettings,
}

/// Settings of a worker.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Provider accounts that this process knows.
    pub trunks: Trunks,
    /// URL at which providers reach us, without a trailing slash.
    pub public_url: String,
    /// Limit of dials under way.
    pub permits: usize,
    /// Longest sleep without looking for work; none means only wakes and due times.
    pub poll: Option<Duration>,
    /// Retention of finished calls; none means for ever.
    pub keep_finished: Option<Duration>,
    /// Networks that endpoints may be in although they are not public.
    pub endpoint_networks: Networks,
}

/// Logging settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A valid env-filter.
    pub filter: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// Whether a process accepts requests on the listen address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// It does, so it needs keys or serves this host only.
    Open,
    /// It does not.
    Closed,
}

impl Settings {
    /// Reads all settings. Also returns warnings: what is allowed, but probably not intended.
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
        let endpoint_networks = reader.read(
            "PGDIAL_ENDPOINT_NETWORKS",
            flags.endpoint_networks.as_ref(),
            read::endpoint_networks,
        );
        let open_view = read::open_view(listen);
        let open_view = reader.read("PGDIAL_OPEN_VIEW", flags.open_view.as_ref(), open_view);
        let migrate = reader.read("PGDIAL_MIGRATE", flags.migrate.as_ref(), read::yes_or_no);
        let mut warnings = names::unknown(variables);
        let settings = (|| {
            let trunks = trunks?;
            Some(Self {
                database_url: database_url?,
                listen: listen?,
                metrics_listen: metrics_listen?,
                api_keys: api_keys?,
                event_streams: event_streams?,
                largest_webhook: largest? * 1024,
                open_view: open_view?,
                migrate: migrate?,
                grace: grace?.unwrap_or_else(|| trunks.grace()),
                worker: WorkerSettings {
                    trunks,
                    public_url: public_url?,
                    permits: permits?,
                    poll: poll?,
                    keep_finished: keep_finished?,
                    endpoint_networks: endpoint_networks?,
                },
            })
        })();
        let settings = reader.bad.done(settings, &warnings)?;
        warnings.extend(settings.oddities(api, &trunks::addresses(provider_url, variables)));
        Ok((settings, warnings))
    }

    /// Warnings: allowed, but probably not intended.
    fn oddities(&self, api: Api, providers: &[(String, &str)]) -> Vec<String> {
        let mut odd = Vec::new();
        if api == Api::Open && self.api_keys.is_empty() && self.listen.ip().is_loopback() {
            odd.push(format!(
                "PGDIAL_API_KEYS is not set: until `pgdial keys create` makes a key, whoever is on this host may do everything; listening on {} only",
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
    /// Logging settings; `default` is the default filter.
    pub fn read(common: &Common, variables: &Variables, default: &str) -> Result<Self, Problems> {
        let mut bad = Collected::default();
        let log = bad.keep(Self::from(common, variables, default));
        bad.done(log, &[])
    }

    fn from(common: &Common, variables: &Variables, default: &str) -> Result<Self, Vec<Problem>> {
        let reader = Reader::of(variables);
        let filter = read::filter(reader.given("PGDIAL_LOG", common.log.as_ref()), default);
        let format = reader.given("PGDIAL_LOG_FORMAT", common.log_format.as_ref());
        let format = read::log_format(format);
        match (filter, format) {
            (Ok(filter), Ok(format)) => Ok(Self { filter, format }),
            (filter, format) => Err(filter.err().into_iter().chain(format.err()).collect()),
        }
    }
}

/// Database URL, for commands that need nothing else.
pub fn database_url(common: &Common, variables: &Variables) -> Result<SecretString, Problems> {
    let mut bad = Collected::default();
    let url = bad.keep(database_url_of(common, variables));
    bad.done(url, &[])
}

/// Database URL, for commands that otherwise start a private database.
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

/// Provider accounts, for commands that send them requests.
pub fn trunks(variables: &Variables) -> Result<Trunks, Problems> {
    let mut bad = Collected::default();
    let provider_url = variables.get(trunks::DEFAULT_URL);
    let known = trunks::read(provider_url, variables, &mut bad);
    bad.done(known, &names::unknown(variables))
}

/// As `trunks`, with the flags of a long-running process.
pub fn trunks_told(flags: &Flags, variables: &Variables) -> Result<Trunks, Problems> {
    let mut reader = Reader::of(variables);
    let provider_url = reader.given(trunks::DEFAULT_URL, flags.provider_url.as_ref());
    let known = trunks::read(provider_url, variables, &mut reader.bad);
    reader.bad.done(known, &[])
}

/// Configured address of a trunk's provider, without a password that it may contain.
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

/// Whether the variables of a trunk end so.
pub fn is_trunk_setting(part: &str) -> bool {
    trunks::PARTS.contains(part)
}

/// Variable of a trunk that ends so.
pub fn trunk_variable(trunk: &str, part: &str) -> String {
    trunks::variable(trunk, part)
}

/// Adapter of a trunk at a platform; none for one that speaks pgdial's protocol, whose reports can be read
/// without any setting.
pub fn platform(variables: &Variables, trunk: &str) -> Result<Option<Arc<dyn Provider>>, Problems> {
    if trunks::speaks_protocol(variables, trunk) {
        return Ok(None);
    }
    let trunks = trunks(variables)?;
    Ok(trunks.get(trunk).map(|trunk| Arc::clone(&trunk.provider)))
}

/// Secrets that sign a trunk's webhooks, also invalid ones: for signing by hand.
pub fn webhook_secrets(
    variables: &Variables,
    trunk: &str,
) -> Result<crate::provider::signature::Secrets, Problems> {
    let mut bad = Collected::default();
    let name = trunks::secrets_variable(trunk);
    let secrets = bad.keep(secrets::any_webhook_secrets(&name, variables.raw(&name)));
    bad.done(secrets, &names::unknown(variables))
}

/// URL at which providers reach us, for commands that print it.
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

/// Reads one setting after the other, and continues after an invalid one.
struct Reader<'a> {
    variables: &'a Variables,
    bad: Collected,
}

impl<'a> Reader<'a> {
    fn of(variables: &'a Variables) -> Self {
        let bad = Collected::default();
        Self { variables, bad }
    }

    /// A flag, or its variable. An empty text counts as not set: compose files pass `NAME=` for unset
    /// variables.
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
