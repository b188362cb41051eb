//! Each platform's adapter at a provider that speaks its protocol, as separate processes, judged by the ledger.

use clap::ValueEnum as _;
use pgdial::provider::adapters::ADAPTERS;
use pgdial_fake_provider::Speak;
use serde_json::{Value, json};

use crate::support::{TestDb, processes::Machine};

/// Numbers, what happens to them, and how their calls end.
const CALLS: [(&str, &str, Ends); 11] = [
    ("+14155550101", "completed", Ends::Talked),
    ("+14155550102", "busy", Ends::Unanswered),
    ("+14155550103", "no_answer", Ends::Unanswered),
    ("+14155550104", "voicemail", Ends::Voicemail),
    ("+14155550105", "dup,reorder", Ends::Talked),
    ("+14155550106", "error_after_accept", Ends::Talked),
    ("+14155550107", "reset_after_accept", Ends::Talked),
    ("+14155550108", "early", Ends::Talked),
    ("+14155550109", "unknown_word,garbage", Ends::Talked),
    ("+14155550110", "fault", Ends::Fault),
    ("+14155550111", "fault,lost_answer", Ends::Fault),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Answered, with a conversation.
    Talked,
    /// Nobody answered, and there are no attempts left.
    Unanswered,
    /// A machine answered. Where a platform does not say so, it is an answer.
    Voicemail,
    /// Somebody answered, and then the platform failed. Whoever answered is not rung again.
    Fault,
}

impl Ends {
    fn assert(self, call: &Value, rings: usize) {
        let (state, outcome) = (&call["state"], call["outcome"].as_str().unwrap());
        match self {
            Self::Talked => assert_eq!((outcome, rings), ("answered", 1), "{call:#}"),
            Self::Unanswered => {
                assert_eq!((state.as_str(), rings), (Some("failed"), 2), "{call:#}");
            }
            Self::Voicemail => {
                assert!(["voicemail", "answered"].contains(&outcome), "{call:#}");
                assert_eq!(rings, 1, "{call:#}");
            }
            Self::Fault => assert_eq!(
                (call["answered"].as_bool(), rings),
                (Some(true), 1),
                "{call:#}"
            ),
        }
    }
}

async fn calls_end_as_they_went(speak: Speak) {
    let machine = Machine::that_speaks(speak, TestDb::new().await);
    machine
        .db
        .sql(
            "update pgdial.campaigns set busy_base = '1 second', no_answer_base = '1 second', \
             fault_base = '1 second', max_attempts = 2",
        )
        .await;
    let mut provider = ["--ring", "50ms..100ms", "--talk", "100ms..400ms"]
        .map(str::to_owned)
        .to_vec();
    for (number, does, _) in CALLS {
        provider.extend(["--rule".to_owned(), format!("{number}={does}")]);
    }
    let provider: Vec<_> = provider.iter().map(String::as_str).collect();
    let _provider = machine.start_provider(&provider).await;
    let _api = machine.start_api().await;
    let _worker = machine.start_worker("one", &[]).await;
    let requests: Vec<_> = CALLS
        .iter()
        .map(|(number, ..)| json!({"to": number, "scriptId": "welcome", "metadata": {"name": "Ada"}}))
        .collect();
    let url = format!("http://{}/api/v1/calls/batch", machine.api);
    let posted = reqwest::Client::new().post(url).json(&requests).send();
    assert!(posted.await.unwrap().status().is_success());
    machine.until_all_over().await;

    machine.judge(30);
    let ledger = std::fs::read_to_string(machine.ledger()).unwrap();
    let ledger = pgdial_fake_provider::ledger::intervals(&ledger);
    for (number, _, ends) in CALLS {
        let call = format!(
            "select jsonb_build_object('state', state, 'outcome', outcome, 'answered', answered_at is not null, \
                                       'result', result, 'why', last_error) \
             from pgdial.calls where phone = '{number}'"
        );
        let call: Value = serde_json::from_str(&machine.db.text(&call).await).unwrap();
        let rings = ledger.iter().filter(|ring| ring.number == number).count();
        ends.assert(&call, rings);
        if ends == Ends::Talked && speak != Speak::Http {
            let duration = call["result"]["durationSec"].as_f64();
            assert!(duration.is_some_and(|seconds| seconds > 0.0), "{call:#}");
        }
    }
}

macro_rules! platforms {
    ($($test:ident: $speak:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            calls_end_as_they_went(Speak::$speak).await;
        }
    )*};
}

platforms! {
    at_pgdials_own_protocol: Http,
    at_retell: Retell,
    at_vapi: Vapi,
    at_twilio: Twilio,
    at_bland: Bland,
    at_elevenlabs: ElevenLabs,
}

/// Each adapter has a provider to be tried at, and is tried above.
#[test]
fn every_adapter_has_a_dialect() {
    let known: Vec<_> = Speak::value_variants()
        .iter()
        .map(|speak| speak.name())
        .collect();
    let adapters = ADAPTERS.map(|adapter| adapter.name.to_owned());
    assert_eq!(adapters.to_vec(), known);
}
