//! Settings of campaigns and trunks: each that the document names is kept, shown, and an option of the command.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::World;

/// For each setting a value that is not its default, and how it is shown, unless as it was given.
fn other_than_default(setting: &str) -> Option<(Value, Option<Value>)> {
    let same = |value| Some((value, None));
    let shown = |given: &str, shown: &str| Some((json!(given), Some(json!(shown))));
    match setting {
        "answerGuard" => same(json!({ "last": 100, "answeredBelow": 0.25 })),
        "answeringMachine" => same(json!("hang_up")),
        "backoffCap" => shown("5 hours", "PT5H"),
        "budget" => same(json!(12.5)),
        "busyBase" => shown("6 minutes", "PT6M"),
        "callerIds" => same(json!("pool")),
        "callingHours" => same(json!("office")),
        "callsPerSecond" => same(json!(2.5)),
        "cap" => same(json!(7)),
        "contactLimits" => same(json!(["once"])),
        "dispositionRules" => same(json!([{ "disposition": "callback", "when": "$.a" }])),
        "endsAt" => same(json!("2099-01-31T09:00:00Z")),
        "faultBase" => shown("7 seconds", "PT7S"),
        "goal" => same(json!({ "outcome": "answered", "count": 5 })),
        "guard" => same(json!(11)),
        "idempotent" | "redialUnknown" | "requireConsent" => same(json!(true)),
        "lookUp" => same(json!("hint")),
        "maxAttempts" => same(json!(4)),
        "maxDuration" => shown("20 minutes", "PT20M"),
        "noAnswerBase" => shown("40 minutes", "PT40M"),
        "optOutScope" => same(json!("campaign")),
        "ramp" => same(json!({ "from": 1, "step": 1, "every": "PT10M" })),
        "region" => same(json!("GB")),
        "reportsWithin" => shown("30 seconds", "PT30S"),
        "retryAt" => same(json!("next_day")),
        "ringTimeout" => shown("45 seconds", "PT45S"),
        "slots" => same(json!(31)),
        "startsAt" => same(json!("2098-01-31T09:00:00Z")),
        "topic" => same(json!("renewal")),
        "trunk" => same(json!("other")),
        "voicemail" => same(json!("retry")),
        "voicemailBase" => shown("3 hours", "PT3H"),
        "weight" => same(json!(3)),
        "zoneBasis" => same(json!("given_and_number")),
        _ => None,
    }
}

fn kebab(name: &str) -> String {
    let part = |c: char| {
        let dash = c.is_uppercase().then_some('-');
        dash.into_iter().chain(c.to_lowercase())
    };
    name.chars().flat_map(part).collect()
}

/// Neither a setting of its own nor shown: a name for others, and the reason.
const NOT_SHOWN: [&str; 2] = ["preset", "why"];

#[tokio::test]
async fn every_setting_is_kept_and_shown_and_is_an_option() {
    let world = World::new().await;
    world
        .sql(
            "insert into pgdial.trunks (name) values ('other'); \
             select pgdial.add_caller_id('+14155550199', '{\"pool\": \"pool\"}'); \
             select pgdial.set_calling_hours('office', '{\"week\": \"mon-fri 09:00-17:00\"}'); \
             select pgdial.set_contact_limit('once', '{\"counts\": \"attempts\", \"period\": \"1 day\"}')",
        )
        .await;
    let document = world.get("/openapi.json").await.body;
    let mut without_option = Vec::new();
    for (schema, path) in [
        ("SetCampaignRequest", "campaigns/default"),
        ("SetTrunkRequest", "trunks/default"),
    ] {
        let settings = &document["components"]["schemas"][schema]["properties"];
        let (group, _) = path.split_once('/').unwrap();
        let help = Command::new(env!("CARGO_BIN_EXE_pgdial"))
            .args([group, "set", "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        for setting in settings.as_object().unwrap().keys() {
            if NOT_SHOWN.contains(&&**setting) {
                continue;
            }
            let (given, shown) = other_than_default(setting)
                .unwrap_or_else(|| panic!("say a value of {setting} that is not its default"));
            let shown = shown.unwrap_or_else(|| given.clone());
            let api = format!("/api/v1/{path}");
            let before = world.get(&api).await.body;
            assert_ne!(before[setting], shown, "{setting} has it already");
            let change = json!({ setting: given });
            let changed = world.send("PATCH", &api, &change).await;
            assert_eq!(changed.status, 200, "{setting}: {}", changed.text);
            assert_eq!(changed.body[setting], shown, "{setting}");
            assert_eq!(world.get(&api).await.body[setting], shown, "{setting}");
            if !help.contains(&format!("--{}", kebab(setting))) {
                without_option.push(setting.clone());
            }
        }
    }
    assert_eq!(without_option, [""; 0]);
}
