//! Accounts with one webhook for all calls: ours are found, those of other software are not kept.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use pgdial::{
    domain::ClaimedCall,
    provider::{
        Provider,
        elevenlabs::{self, ElevenLabs},
        platform::Scripts,
        signature::sign_plain,
        tag,
        twilio::{self, Twilio},
        vapi::{self, Vapi},
    },
    trunks::Trunk,
};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

use crate::{
    support::{Answer, SECRETS, Send, ServerOptions, World, secrets},
    webhooks::{TO, UNKNOWN, now, report, verdict_of},
};

const SECRET: &str = "the secret of the account";
const URL: &str = "/callbacks/default";

/// A server whose trunk `default` is this account.
async fn world(provider: impl Provider + 'static) -> World {
    let trunk = Trunk {
        name: "default".to_owned(),
        provider: Arc::new(provider),
        secrets: secrets(SECRET),
    };
    World::with(ServerOptions {
        trunk: Some(trunk),
        ..ServerOptions::default()
    })
    .await
}

fn labs() -> ElevenLabs {
    let settings = elevenlabs::Settings::default();
    ElevenLabs::new(elevenlabs::ADDRESS, "key".into(), settings).unwrap()
}

fn mac(text: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    for part in text {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

async fn from_labs(world: &World, body: &Value) -> Answer {
    let (at, body) = (now(world).await, body.to_string());
    let mac = hex::encode(mac(&[format!("{at}.").as_bytes(), body.as_bytes()]));
    world
        .ask("POST", URL)
        .header("elevenlabs-signature", format!("t={at},v0={mac}"))
        .body(body)
        .answer()
        .await
}

async fn from_vapi(world: &World, body: &Value) -> Answer {
    let body = body.to_string();
    let signature = sign_plain(&secrets(SECRET), body.as_bytes());
    let ask = world.ask("POST", URL).header("x-signature", signature);
    ask.body(body).answer().await
}

fn transcription(id: &str, reference: &str) -> Value {
    let text = include_str!("../providers/elevenlabs/webhook-transcription.json");
    let text = text.replace(UNKNOWN, reference);
    let mut body: Value = serde_json::from_str(&text).unwrap();
    body["data"]["conversation_id"] = id.into();
    body
}

fn failure(id: &str) -> Value {
    let text = include_str!("../providers/elevenlabs/webhook-failure-twilio.json");
    let mut body: Value = serde_json::from_str(text).unwrap();
    body["data"]["conversation_id"] = id.into();
    body
}

/// Another caller's conversation: with variables of its own, and without ours.
fn of_others(id: &str) -> Value {
    let mut body = transcription(id, "customer-4711");
    let began_with = &mut body["data"]["conversation_initiation_client_data"];
    began_with["dynamic_variables"] = json!({ "name": "Bo" });
    body
}

async fn in_doubt(world: &World, to: &str) -> ClaimedCall {
    let call = world.dialing(to).await;
    world
        .calls
        .doubt(call.reference(), "timeout")
        .await
        .unwrap();
    call
}

async fn kept(world: &World) -> i64 {
    world
        .number("select count(*) from pgdial.webhook_events")
        .await
}

async fn counted(world: &World, verdict: &str) -> String {
    let text = world.get("/metrics").await.text;
    let series = format!("pgdial_webhook_events_total{{verdict=\"{verdict}\"}} ");
    let found = text.lines().find_map(|line| line.strip_prefix(&*series));
    found.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_transcription_ends_the_dial_whose_answer_was_lost() {
    let world = world(labs()).await;
    let call = in_doubt(&world, TO).await;
    let body = transcription("conv_1", &call.reference().to_string());
    let answer = from_labs(&world, &body).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &json!({})));
    assert_eq!(verdict_of(&world).await, "applied");
    let shown = world.get(&format!("/api/v1/calls/{}", call.id)).await.body;
    assert_eq!(shown["state"], "completed");
    assert_eq!(shown["providerCallId"], "conv_1");
    assert_eq!(from_labs(&world, &body).await.status, 200);
    assert_eq!(counted(&world, "duplicate").await, "1");
}

#[tokio::test]
async fn conversations_of_others_are_answered_counted_and_not_kept() {
    let world = world(labs()).await;
    let mut came_in = of_others("conv_2");
    came_in["data"]["metadata"]["phone_call"]["direction"] = "inbound".into();
    came_in["data"]["conversation_initiation_client_data"] = Value::Null;
    for body in [
        of_others("conv_1"),
        came_in,
        // Of a pgdial with another database.
        transcription("conv_3", UNKNOWN),
    ] {
        assert_eq!(from_labs(&world, &body).await.status, 200);
    }
    assert_eq!(counted(&world, "foreign").await, "3");
    assert_eq!(kept(&world).await, 0);
}

#[tokio::test]
async fn a_report_that_may_be_ours_waits_for_the_id() {
    let world = world(labs()).await;
    let call = world.dialing(TO).await;
    // Nobody picked up: it has nothing but the id.
    assert_eq!(from_labs(&world, &failure("conv_1")).await.status, 200);
    assert_eq!(verdict_of(&world).await, "parked");
    // Its variables were removed, so nobody knows.
    let mut redacted = of_others("conv_2");
    redacted["data"]["conversation_initiation_client_data"] = json!({ "dynamic_variables": {} });
    assert_eq!(from_labs(&world, &redacted).await.status, 200);
    assert_eq!(verdict_of(&world).await, "parked");
    world
        .calls
        .dialed(call.reference(), "conv_1")
        .await
        .unwrap();
    let shown = world.get(&format!("/api/v1/calls/{}", call.id)).await.body;
    assert_eq!(shown["outcome"], "busy");
    // While a dial is in doubt, even this one is kept.
    in_doubt(&world, "+14155550101").await;
    assert_eq!(from_labs(&world, &of_others("conv_3")).await.status, 200);
    assert_eq!(verdict_of(&world).await, "parked");
    assert_eq!(counted(&world, "foreign").await, "0");
}

#[tokio::test]
async fn vapi_reports_by_its_metadata_and_calls_that_came_in_are_not_kept() {
    let settings = vapi::Settings::default();
    let vapi = Vapi::new(vapi::ADDRESS, "key".into(), settings).unwrap();
    let world = Box::pin(world(vapi)).await;
    let call = in_doubt(&world, TO).await;
    let body = |reference: &str| -> Value {
        let text = include_str!("../providers/vapi/webhook-report-answered.json");
        serde_json::from_str(&text.replace(UNKNOWN, reference)).unwrap()
    };
    let ours = body(&call.reference().to_string());
    assert_eq!(from_vapi(&world, &ours).await.status, 200);
    assert_eq!(world.state(&call.id.to_string()).await, "completed");
    let mut theirs = body("a-customer");
    theirs["message"]["call"]["id"] = "019d2ad0-0000-7aac-9377-000000000001".into();
    assert_eq!(from_vapi(&world, &theirs).await.status, 200);
    theirs["message"]["call"]["type"] = "inboundPhoneCall".into();
    theirs["message"]["call"]["customer"] = Value::Null;
    assert_eq!(from_vapi(&world, &theirs).await.status, 200);
    assert_eq!(counted(&world, "foreign").await, "2");
    // Too little of a call to tell.
    theirs["message"]["call"] = json!({ "id": "019d2ad0-0000-7aac-9377-000000000002" });
    assert_eq!(from_vapi(&world, &theirs).await.status, 200);
    assert_eq!(verdict_of(&world).await, "parked");
    assert_eq!(kept(&world).await, 2);
}

#[tokio::test]
async fn an_account_of_the_generic_adapter_names_its_dial_in_the_body() {
    let world = World::new().await;
    let call = in_doubt(&world, TO).await;
    let post = async |path: &str, body: &Value| {
        let body = body.to_string();
        let signature = sign_plain(&secrets(SECRETS), body.as_bytes());
        let ask = world.ask("POST", path).header("x-signature", signature);
        ask.body(body).answer().await.status.as_u16()
    };
    let mut body: Value = serde_json::from_str(&report("RINGING")).unwrap();
    body["reference"] = call.reference().to_string().into();
    assert_eq!(post("/callbacks/default/", &body).await, 200);
    assert_eq!(world.state(&call.id.to_string()).await, "in_call");
    // The signature covers the reference, so a body cannot be turned to another dial.
    body["status"] = "COMPLETED".into();
    assert_eq!(post("/callbacks/other", &body).await, 401);
    let id: Value = serde_json::from_str(&report("COMPLETED")).unwrap();
    for path in ["/callbacks/call-status/default", "//callbacks/default"] {
        assert_eq!(post(path, &id).await, 200, "{path}");
    }
    assert_eq!(world.state(&call.id.to_string()).await, "completed");
}

#[tokio::test]
async fn twilio_gets_no_body() {
    let scripts: Scripts = "*=https://scripts.example.com".parse().unwrap();
    let world =
        world(Twilio::new(twilio::ADDRESS, "AC1", "token".into(), None, scripts).unwrap()).await;
    let call = world.dialing(TO).await;
    let path = tag::webhook_url("", "default", call.reference(), &secrets(SECRET));
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{path}CallSidCA1CallStatusringing").as_bytes());
    let answer = world
        .ask("POST", &path)
        .header(
            "x-twilio-signature",
            BASE64_STANDARD.encode(mac.finalize().into_bytes()),
        )
        .header("content-type", "application/x-www-form-urlencoded")
        .body("CallSid=CA1&CallStatus=ringing")
        .answer()
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    assert_eq!(world.state(&call.id.to_string()).await, "in_call");
}
