//! Logs for programs: one JSON object per line, with the same names as spans and without numbers.

use serde_json::{Value, json};

use crate::support::{eventually, number, processes::Machine};

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_an_object_whose_fields_have_the_names_of_spans() {
    let machine = Machine::new().await;
    let _provider = machine
        .start_provider(&["--ring", "10ms..20ms", "--talk", "20ms..50ms"])
        .await;
    let mut command = machine.command(&["serve", "--log-format", "json"]);
    command.env("PGDIAL_LOG", "info,pgdial=debug");
    let _serve = machine.start_command("serve", command);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let url = format!("http://{}/api/v1/calls", machine.api);
    eventually("the API takes the call", || async {
        let request =
            json!({"to": number(0), "scriptId": "s", "idempotencyKey": "k", "traceparent": trace});
        let asked = reqwest::Client::new().post(&url).json(&request);
        asked
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    machine.until_all_over().await;
    let lines = || {
        let text = std::fs::read_to_string(machine.file("serve.log")).unwrap();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        whole.lines().map(read).collect::<Vec<Value>>()
    };
    let of = |lines: &[Value], message: &str| {
        lines
            .iter()
            .find(|line| line["message"] == message)
            .cloned()
    };
    eventually("the webhook is logged", || async {
        of(&lines(), "webhook taken").is_some()
    })
    .await;
    let lines = lines();
    let call = machine.db.text("select id from pgdial.calls").await;
    let dialled = of(&lines, "dialled").unwrap();
    for (name, value) in [
        ("call.id", json!(call)),
        ("dial.reference", json!(format!("{call}-1"))),
        ("call.attempt", json!(1)),
        ("trunk", json!("default")),
        ("campaign", json!("default")),
        ("traceparent", json!(trace)),
    ] {
        assert_eq!(dialled[name], value, "{name} in {dialled}");
    }
    let kept = of(&lines, "webhook taken").unwrap();
    assert_eq!(kept["dial.reference"], format!("{call}-1"), "{kept}");
    for line in &lines {
        assert!(
            !line.to_string().contains(&number(0)[1..]),
            "a number in {line}"
        );
    }
}
