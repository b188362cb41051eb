//! Options of the fake provider. The `fake-provider` subcommand flattens [`FakeOptions`]; tests and the demo
//! begin with [`FakeOptions::new`].

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::ValueEnum;
use hyper::Uri;
use rand::RngExt;
use secrecy::SecretString;

use super::{
    reading::{BadOption, duration},
    rules::{Ending, Rule},
};

const RING: Span = Span {
    from: Duration::from_secs(1),
    to: Duration::from_secs(3),
};
const TALK: Span = Span {
    from: Duration::from_secs(2),
    to: Duration::from_secs(8),
};
const REDELIVER_FOR: Duration = Duration::from_mins(10);
const REDELIVER_TIMES: u32 = 400;

/// Behavior of the fake provider.
#[derive(Debug, Clone, clap::Args)]
pub struct FakeOptions {
    /// Listen on this address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Append every ring to this file, one JSON line at its start and one at its end.
    #[arg(long, value_name = "FILE", default_value = "ledger.jsonl")]
    pub ledger: PathBuf,
    /// Speak this platform's protocol.
    #[arg(long, value_enum, default_value_t = Speak::Http)]
    pub speak: Speak,
    /// Sign webhooks with the first of these secrets: `PGDIAL_WEBHOOK_SECRETS`.
    #[arg(skip)]
    pub webhook_secret: Option<SecretString>,
    /// Signature scheme of webhooks of protocol `http`.
    #[arg(long, value_enum, default_value_t = Scheme::Standard)]
    pub scheme: Scheme,
    /// Demand this API key: `PGDIAL_PROVIDER_KEY`, if that is set.
    #[arg(skip)]
    pub key: Option<SecretString>,
    /// Send the webhooks of calls whose request names no URL here, as a platform whose account has one does.
    #[arg(long, value_name = "URL")]
    pub webhook_url: Option<Uri>,
    /// Range of ringing times.
    #[arg(long, value_name = "FROM..TO", default_value_t = RING)]
    pub ring: Span,
    /// Range of conversation times.
    #[arg(long, value_name = "FROM..TO", default_value_t = TALK)]
    pub talk: Span,
    /// Respond 429 while this many calls are up.
    #[arg(long, value_name = "COUNT")]
    pub slots: Option<usize>,
    /// Honor Idempotency-Key: the same key is the same call. Without it a repeated key rings again.
    #[arg(long)]
    pub idempotent: bool,
    /// How calls without a matching rule end, by weight: `completed=70,busy=20,no_answer=10`.
    #[arg(long, value_name = "ENDING=WEIGHT,...", default_value_t = Weights::default())]
    pub endings: Weights,
    /// Do something to some calls: `PATTERN=BEHAVIOUR[,BEHAVIOUR...]`. The first rule that matches decides.
    ///
    /// PATTERN is a glob over the number (`*07`, `+1415*`), or over something else that the request
    /// says (`script:bad*`, `from:+1800*`, `metadata.campaign:spring`), or a share of the requests (`5%`), or several
    /// of these at once (`script:bad*&50%`). BEHAVIOUR is how the call ends
    /// (completed, fault, voicemail, busy, `no_answer`, declined, failed, canceled, `invalid_number`,
    /// blocked, capacity, account, or one after the other `seq:busy/no_answer/completed`), how long
    /// it waits before it rings (`queued:20s`), how the
    /// request is answered (`slow:20s`, `error_after_accept`, `reset_after_accept`, `reject:404`,
    /// `reject:400:no such script`, or with a code of the platform `reject:400:21211 no such number`, `rate_limit`,
    /// `rate_limit:5`; with a refusal also `retry_after:2.5`, and
    /// `places_anyway`, which rings all the same), what a conversation came to (`disposition:do_not_call`, or
    /// `call_back:2h`, a callback so long after its end), or what becomes of the webhooks (dup, reorder, early, `late:5s`, lost,
    /// `lost_answer`, `unknown_word`, garbage) and look-ups (`false_404`).
    #[arg(long = "rule", value_name = "RULE")]
    pub rules: Vec<Rule>,
    /// Make the same choices in every run.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How long to keep sending a webhook that is not accepted.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub redeliver_for: Duration,
    /// How many times to send it again, at most.
    #[arg(long, value_name = "COUNT", default_value_t = REDELIVER_TIMES)]
    pub redeliver_times: u32,
}

impl FakeOptions {
    /// The defaults, on a free loopback port.
    pub fn new(ledger: PathBuf, webhook_secret: impl Into<SecretString>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ledger,
            speak: Speak::Http,
            webhook_secret: Some(webhook_secret.into()),
            scheme: Scheme::Standard,
            key: None,
            webhook_url: None,
            ring: RING,
            talk: TALK,
            slots: None,
            idempotent: false,
            endings: Weights::default(),
            rules: Vec::new(),
            seed: None,
            redeliver_for: REDELIVER_FOR,
            redeliver_times: REDELIVER_TIMES,
        }
    }
}

/// Protocols of the fake provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Speak {
    /// pgdial's own.
    #[default]
    Http,
    /// Retell AI.
    Retell,
    /// Vapi.
    Vapi,
    /// Twilio.
    Twilio,
    /// Telnyx.
    Telnyx,
    /// Bland AI.
    Bland,
    /// ElevenLabs Agents.
    #[value(name = "elevenlabs")]
    ElevenLabs,
}

impl Speak {
    /// Its word on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Scheme of the webhook URLs that it takes. At the loopback Bland's is a word, without encryption.
    pub const fn webhook_scheme(self) -> &'static str {
        match self {
            Self::Bland => "https",
            _ => "http",
        }
    }
}

/// Signature schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheme {
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    Standard,
    /// `x-signature`: hex of the HMAC over the body.
    XSignature,
}

/// A range of durations, from which each call draws one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    from: Duration,
    to: Duration,
}

impl Span {
    /// Always this duration.
    pub const fn exactly(duration: Duration) -> Self {
        Self {
            from: duration,
            to: duration,
        }
    }

    pub(super) fn draw(self, rng: &mut impl rand::Rng) -> Duration {
        rng.random_range(self.from..=self.to)
    }
}

impl FromStr for Span {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (duration(from)?, duration(to)?);
        if from <= to {
            Ok(Self { from, to })
        } else {
            Err(BadOption::Span(text.to_owned()))
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spoken = humantime::format_duration;
        write!(f, "{}..{}", spoken(self.from), spoken(self.to))
    }
}

/// Distribution of endings of calls without a matching rule. By default all complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights(Vec<(Ending, u32)>);

impl Weights {
    pub(super) fn draw(&self, rng: &mut impl rand::Rng) -> Ending {
        let total: u32 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.random_range(0..total.max(1));
        for (ending, weight) in &self.0 {
            if left < *weight {
                return *ending;
            }
            left -= weight;
        }
        Ending::Completed
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self(vec![(Ending::Completed, 1)])
    }
}

impl FromStr for Weights {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadOption::Weights(text.to_owned());
        let mut weights = Vec::new();
        for part in text.split(',') {
            let (ending, weight) = part.split_once('=').ok_or_else(bad)?;
            weights.push((
                ending.trim().parse()?,
                weight.trim().parse::<u16>().map_err(|_e| bad())?.into(),
            ));
        }
        if weights.iter().any(|(_, weight)| *weight > 0) {
            Ok(Self(weights))
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (ending, weight)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}={weight}", ending.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        options: FakeOptions,
    }

    #[test]
    fn the_flags_are_sound_and_their_defaults_are_those_of_new() {
        <Program as clap::CommandFactory>::command().debug_assert();
        let mut parsed = Program::parse_from(["x"]).options;
        parsed.webhook_secret = Some("s".into());
        let mut made = FakeOptions::new("ledger.jsonl".into(), "s");
        made.listen = "127.0.0.1:8090".parse().unwrap();
        assert_eq!(format!("{parsed:?}"), format!("{made:?}"));
    }

    #[test]
    fn ranges_read_and_draw_from_within() {
        let span: Span = "0.5s..2s".parse().unwrap();
        assert_eq!(span.to_string(), "500ms..2s");
        let mut rng = StdRng::seed_from_u64(7);
        for _ in 0..50 {
            assert!(
                (Duration::from_millis(500)..=Duration::from_secs(2))
                    .contains(&span.draw(&mut rng))
            );
        }
        assert_eq!(
            "3s".parse::<Span>().unwrap(),
            Span::exactly(Duration::from_secs(3))
        );
        for text in ["", "2s..1s", "1s..", "-1s..2s", "x..y", "nans"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn weights_draw_only_what_has_one() {
        let weights: Weights = "busy=3,completed=0,no_answer=1".parse().unwrap();
        assert_eq!(weights.to_string(), "busy=3,completed=0,no_answer=1");
        let mut rng = StdRng::seed_from_u64(7);
        let drawn: Vec<_> = (0..200).map(|_| weights.draw(&mut rng)).collect();
        assert!(drawn.contains(&Ending::Busy) && drawn.contains(&Ending::NoAnswer));
        assert!(!drawn.contains(&Ending::Completed));
        for text in ["", "busy", "busy=x", "busy=0", "bussy=1", "busy=-1"] {
            assert!(text.parse::<Weights>().is_err(), "{text}");
        }
    }
}
