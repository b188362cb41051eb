//! Adapters that configuration can name, with their settings.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, sync::Arc};

use secrecy::SecretString;

use super::{
    Error, Provider, bland,
    bland::Bland,
    elevenlabs,
    elevenlabs::ElevenLabs,
    http::HttpProvider,
    platform::{Numbers, Scripts},
    retell,
    retell::Retell,
    telnyx,
    telnyx::Telnyx,
    twilio,
    twilio::Twilio,
    vapi,
    vapi::Vapi,
};
use crate::domain::Phone;

/// A kind of provider account.
#[derive(Debug)]
pub struct Adapter {
    /// Value of `PROVIDER`.
    pub name: &'static str,
    /// Settings, in the order of the adapter's documentation.
    pub settings: &'static [Setting],
    /// Setting whose value also verifies webhooks, unless `WEBHOOK_SECRETS` is set.
    pub signs_with: Option<&'static str>,
    /// Whether a person makes up the secret of its webhooks; else the platform has made it.
    pub has_own_secret: bool,
    pub(crate) build: fn(&Given<'_>) -> Result<Arc<dyn Provider>, Fault>,
}

/// A setting of an adapter: the variable of this name after `PGDIAL_` or `PGDIAL_TRUNK_<NAME>_`.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// End of the variable's name.
    pub name: &'static str,
    /// Description, as in "trunk `eu` needs the address of its provider".
    pub what: &'static str,
    /// A valid value.
    pub example: &'static str,
    /// Whether it is required.
    pub is_needed: bool,
    /// Whether it must not be shown.
    pub is_secret: bool,
}

const fn needed(name: &'static str, what: &'static str, example: &'static str) -> Setting {
    Setting {
        name,
        what,
        example,
        is_needed: true,
        is_secret: false,
    }
}

const fn optional(setting: Setting) -> Setting {
    Setting {
        is_needed: false,
        ..setting
    }
}

const ADDRESS: Setting = needed(
    "PROVIDER_URL",
    "the address of its provider",
    "https://voice.example.com",
);
/// Platforms have a default address; another one selects another region.
const REGION: Setting = optional(ADDRESS);
const KEY: Setting = Setting {
    is_secret: true,
    ..needed(
        "PROVIDER_KEY",
        "the key of the account",
        "the key of your account there",
    )
};
const ACCOUNT: Setting = needed(
    "PROVIDER_ACCOUNT",
    "the id of the account",
    "AC0123456789abcdef0123456789abcdef",
);
const FROM: Setting = optional(needed(
    "FROM",
    "the number to call from, for calls that name none",
    "+14155550100",
));
const NUMBERS: Setting = needed(
    "NUMBERS",
    "the numbers that calls come from, with their ids",
    "+14155550100=phnum_01abc",
);
const SCRIPTS: Setting = optional(needed(
    "SCRIPTS",
    "short names of the platform's scripts",
    "welcome=agent_0123456789,spring=agent_4567890123@3",
));
/// Twilio's scripts are addresses of TwiML.
const TWIML: Setting = Setting {
    example: "*=https://scripts.example.com/v/{scriptId}?call={reference}",
    what: "addresses of TwiML by script",
    ..SCRIPTS
};
const CARRIER: Setting = optional(needed(
    "CARRIER",
    "who carries the calls of its numbers",
    "twilio",
));
const CREDENTIAL: Setting = optional(needed(
    "CREDENTIAL",
    "the id of the credential that signs webhooks",
    "9f1c2f7e-1d2c-4b3a-9c8d-7e6f5a4b3c2d",
));
const RECORD: Setting = optional(needed("RECORD", "whether calls are recorded", "true"));
const CONNECTION: Setting = needed(
    "CONNECTION",
    "the id of the application that dials",
    "7267000000000000001",
);
const PUBLIC_KEYS: Setting = needed(
    "PUBLIC_KEYS",
    "the public key that verifies webhooks",
    "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
);

/// All adapters. The first is the default.
pub const ADAPTERS: [Adapter; 7] = [
    Adapter {
        name: "http",
        settings: &[ADDRESS, optional(KEY)],
        signs_with: None,
        has_own_secret: true,
        build: |given| {
            let key = given.text(KEY.name).map(SecretString::from);
            built(HttpProvider::new(given.address(""), key))
        },
    },
    Adapter {
        name: "retell",
        settings: &[KEY, FROM, SCRIPTS, REGION],
        signs_with: Some(KEY.name),
        has_own_secret: false,
        build: |given| {
            let address = given.address(retell::ADDRESS);
            built(Retell::new(
                address,
                given.key(),
                given.from()?,
                given.scripts()?,
            ))
        },
    },
    Adapter {
        name: "vapi",
        settings: &[KEY, NUMBERS, FROM, CARRIER, CREDENTIAL, SCRIPTS, REGION],
        signs_with: None,
        has_own_secret: true,
        build: |given| {
            let credential_id = given.text(CREDENTIAL.name).map(str::to_owned);
            let numbers = given.parsed(NUMBERS.name)?;
            let settings = vapi::Settings {
                from: given.caller_among(&numbers)?,
                numbers,
                scripts: given.scripts()?,
                transport: given.one_of(
                    CARRIER.name,
                    &[
                        ("other", vapi::Transport::Other),
                        ("twilio", vapi::Transport::Twilio),
                        ("sip", vapi::Transport::Sip),
                    ],
                )?,
                webhooks: credential_id.map_or(vapi::Webhooks::Inherited, |credential_id| {
                    vapi::Webhooks::PerCall { credential_id }
                }),
            };
            built(Vapi::new(
                given.address(vapi::ADDRESS),
                given.key(),
                settings,
            ))
        },
    },
    Adapter {
        name: "twilio",
        settings: &[ACCOUNT, KEY, FROM, TWIML, REGION],
        signs_with: None,
        has_own_secret: false,
        build: |given| {
            let account = given.text(ACCOUNT.name).unwrap_or_default();
            let address = given.address(twilio::ADDRESS);
            built(Twilio::new(
                address,
                account,
                given.key(),
                given.from()?,
                given.scripts()?,
            ))
        },
    },
    Adapter {
        name: "telnyx",
        settings: &[KEY, CONNECTION, PUBLIC_KEYS, FROM, SCRIPTS, REGION],
        signs_with: None,
        has_own_secret: true,
        build: |given| {
            let connection = given.text(CONNECTION.name).unwrap_or_default();
            built(Telnyx::new(
                given.address(telnyx::ADDRESS),
                given.key(),
                connection,
                given.from()?,
                given.scripts()?,
                given.parsed(PUBLIC_KEYS.name)?,
            ))
        },
    },
    Adapter {
        name: "bland",
        settings: &[KEY, FROM, RECORD, SCRIPTS, REGION],
        signs_with: None,
        has_own_secret: false,
        build: |given| {
            let settings = bland::Settings {
                from: given.from()?,
                scripts: given.scripts()?,
                record: given.one_of(RECORD.name, &[("false", false), ("true", true)])?,
            };
            built(Bland::new(
                given.address(bland::ADDRESS),
                given.key(),
                settings,
            ))
        },
    },
    Adapter {
        name: "elevenlabs",
        settings: &[KEY, NUMBERS, FROM, CARRIER, SCRIPTS, REGION],
        signs_with: None,
        has_own_secret: false,
        build: |given| {
            let numbers = given.parsed(NUMBERS.name)?;
            let settings = elevenlabs::Settings {
                from: given.caller_among(&numbers)?,
                numbers,
                scripts: given.scripts()?,
                carrier: given.one_of(
                    CARRIER.name,
                    &[
                        ("twilio", elevenlabs::Carrier::Twilio),
                        ("sip", elevenlabs::Carrier::Sip),
                        ("exotel", elevenlabs::Carrier::Exotel),
                    ],
                )?,
            };
            built(ElevenLabs::new(
                given.address(elevenlabs::ADDRESS),
                given.key(),
                settings,
            ))
        },
    },
];

impl Adapter {
    /// The adapter of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ADAPTERS.iter().find(|adapter| adapter.name == name)
    }

    /// Settings for a rehearsal: those of `account`, and for all others their examples.
    pub fn rehearsal(&self, account: &FakeAccount) -> BTreeMap<&'static str, String> {
        let value = |setting: &Setting| match setting.name {
            name if name == ADDRESS.name => account.address.clone(),
            name if name == PUBLIC_KEYS.name => account.public_key.clone(),
            _ if setting.is_secret => account.key.clone(),
            _ => setting.example.to_owned(),
        };
        let settings = self.settings.iter();
        settings
            .map(|setting| (setting.name, value(setting)))
            .collect()
    }
}

/// An account at a provider that rings nobody.
#[derive(Debug, Clone, Default)]
pub struct FakeAccount {
    /// Its address.
    pub address: String,
    /// Its API key.
    pub key: String,
    /// What verifies its webhooks, if it signs with a key pair.
    pub public_key: String,
}

/// Settings of one trunk: the text of each that is set.
pub(crate) struct Given<'a>(pub(crate) &'a dyn Fn(&str) -> Option<&'a str>);

/// A setting with an unusable value.
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

    fn address(&self, default: &'a str) -> &'a str {
        self.text(ADDRESS.name).unwrap_or(default)
    }

    fn from(&self) -> Result<Option<Phone>, Fault> {
        let number = self.text(FROM.name).map(str::parse).transpose();
        number.map_err(|error| fault(FROM.name, &error))
    }

    /// The default number, which must have an id.
    fn caller_among(&self, numbers: &Numbers) -> Result<Option<Phone>, Fault> {
        let from = self.from()?;
        if from.is_some() && numbers.id(from.as_ref()).is_none() {
            return Err(fault(FROM.name, &"NUMBERS has no id for it"));
        }
        Ok(from)
    }

    fn scripts(&self) -> Result<Scripts, Fault> {
        self.parsed(SCRIPTS.name)
    }

    /// Reads a list, which may be empty.
    fn parsed<T: FromStr<Err: Display>>(&self, setting: &'static str) -> Result<T, Fault> {
        let parsed = self.text(setting).unwrap_or_default().parse();
        parsed.map_err(|error| fault(setting, &error))
    }

    /// Reads one of several words; the first is the default.
    fn one_of<T: Copy, const N: usize>(
        &self,
        setting: &'static str,
        words: &[(&str, T); N],
    ) -> Result<T, Fault> {
        let told = self.text(setting).unwrap_or(words[0].0);
        let found = words.iter().find(|(word, _)| *word == told);
        found.map(|(_, meant)| *meant).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            fault(
                setting,
                &format!("{told:?} must be one of {}", known.join(", ")),
            )
        })
    }
}

fn built(provider: Result<impl Provider + 'static, Error>) -> Result<Arc<dyn Provider>, Fault> {
    match provider {
        Ok(provider) => Ok(Arc::new(provider)),
        Err(error @ Error::BadKey) => Err(fault(KEY.name, &error)),
        Err(error) => Err(fault(ADDRESS.name, &error)),
    }
}

fn fault(setting: &'static str, error: &impl Display) -> Fault {
    Fault {
        setting,
        what: format!("cannot be used: {error}"),
    }
}
