//! The adapters that configuration can name, and what each is told.

use std::sync::Arc;

use secrecy::SecretString;

use super::{Error, Provider, http::HttpProvider, platform::Scripts, retell, retell::Retell};
use crate::domain::Phone;

/// A kind of provider account.
#[derive(Debug)]
pub struct Adapter {
    /// The value of `PROVIDER`.
    pub name: &'static str,
    /// What it is told, in the order of its documentation.
    pub settings: &'static [Setting],
    /// The setting that webhooks are signed with too, unless `WEBHOOK_SECRETS` says otherwise.
    pub signs_with: Option<&'static str>,
    pub(crate) build: fn(&Given<'_>) -> Result<Arc<dyn Provider>, Fault>,
}

/// One thing that an adapter is told, by the variable of this name behind `PGDIAL_` or `PGDIAL_TRUNK_<NAME>_`.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The end of the variable's name.
    pub name: &'static str,
    /// What it is, as in "trunk `eu` needs the address of its provider".
    pub what: &'static str,
    /// A right value.
    pub example: &'static str,
    /// Nothing works without it.
    pub is_needed: bool,
    /// It must not be shown.
    pub is_secret: bool,
}

const ADDRESS: Setting = Setting {
    name: "PROVIDER_URL",
    what: "the address of its provider",
    example: "https://voice.example.com",
    is_needed: true,
    is_secret: false,
};
const KEY: Setting = Setting {
    name: "PROVIDER_KEY",
    what: "the key of the account",
    example: "the key of your account there",
    is_needed: true,
    is_secret: true,
};
const FROM: Setting = Setting {
    name: "FROM",
    what: "the number that calls show which name none of their own",
    example: "+14155550100",
    is_needed: false,
    is_secret: false,
};
const SCRIPTS: Setting = Setting {
    name: "SCRIPTS",
    what: "short names of the platform's scripts",
    example: "welcome=agent_0123456789,spring=agent_4567890123@3",
    is_needed: false,
    is_secret: false,
};

const fn optional(setting: Setting) -> Setting {
    Setting {
        is_needed: false,
        ..setting
    }
}

/// Every adapter. The first is the default.
pub const ADAPTERS: [Adapter; 2] = [
    Adapter {
        name: "http",
        settings: &[ADDRESS, optional(KEY)],
        signs_with: None,
        build: |given| {
            let key = given.text(KEY.name).map(SecretString::from);
            let address = given.text(ADDRESS.name).unwrap_or_default();
            built(HttpProvider::new(address, key))
        },
    },
    Adapter {
        name: "retell",
        settings: &[KEY, FROM, SCRIPTS, optional(ADDRESS)],
        signs_with: Some(KEY.name),
        build: |given| {
            let address = given.text(ADDRESS.name).unwrap_or(retell::ADDRESS);
            built(Retell::new(
                address,
                given.key(),
                given.from()?,
                given.scripts()?,
            ))
        },
    },
];

/// What one trunk is told: the text of each of its settings that is set.
pub(crate) struct Given<'a>(pub(crate) &'a dyn Fn(&str) -> Option<&'a str>);

/// A setting that cannot be used.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) setting: &'static str,
    pub(crate) what: String,
}

impl<'a> Given<'a> {
    fn text(&self, setting: &str) -> Option<&'a str> {
        self.0(setting)
    }

    fn key(&self) -> SecretString {
        self.text(KEY.name).unwrap_or_default().into()
    }

    fn from(&self) -> Result<Option<Phone>, Fault> {
        let number = self.text(FROM.name).map(str::parse).transpose();
        number.map_err(|error| fault(FROM.name, &error))
    }

    fn scripts(&self) -> Result<Scripts, Fault> {
        let scripts = self.text(SCRIPTS.name).unwrap_or_default().parse();
        scripts.map_err(|error| fault(SCRIPTS.name, &error))
    }
}

fn built(provider: Result<impl Provider + 'static, Error>) -> Result<Arc<dyn Provider>, Fault> {
    match provider {
        Ok(provider) => Ok(Arc::new(provider)),
        Err(error @ Error::BadKey) => Err(fault(KEY.name, &error)),
        Err(error) => Err(fault(ADDRESS.name, &error)),
    }
}

fn fault(setting: &'static str, error: &impl std::fmt::Display) -> Fault {
    Fault {
        setting,
        what: format!("cannot be used: {error}"),
    }
}
