//! Each table has one bad request per line: method and path | content type | body (⏎ is a line end) | status and code
//! | words of the detail.

use serde_json::json;

use crate::support::{Answer, Send, World};

const NOBODY: &str = "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001";

async fn ask(world: &World, what: &str, kind: &str, body: &str) -> Answer {
    let (method, path) = what.split_once(' ').unwrap();
    let path = path
        .replace("CALLS", "/api/v1/calls")
        .replace("NOBODY", NOBODY);
    let mut ask = world.ask(method, &path);
    if !kind.is_empty() {
        ask = ask.header("content-type", kind);
    }
    ask.body(body.replace('⏎', "\n")).answer().await
}

fn is(answer: &Answer, what: &str, expected: &str, words: &str) {
    let found = format!("{} {}", answer.status.as_u16(), answer.code());
    assert_eq!(found, expected, "{what}: {}", answer.text);
    let detail = answer.detail();
    assert!(
        detail.contains(words),
        "{what}: {words:?} is not in {detail:?}"
    );
}

/// Every line is refused as it says, and nothing is enqueued.
async fn check(table: &str) {
    let world = World::new().await;
    for line in table.trim().lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [what, kind, body, expected, words] = cells[..] else {
            panic!("not five cells: {line}");
        };
        let answer = ask(&world, what, kind, body).await;
        is(&answer, line, expected, words);
    }
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_says_what_is_wrong() {
    check(
        r#"
        POST CALLS | application/json |                         | 400 malformed_json | empty
        POST CALLS | application/json | ⏎ ⏎                     | 400 malformed_json | empty
        POST CALLS | application/json | {"to":                  | 400 malformed_json | line 1 column 6
        POST CALLS | application/json | {⏎"to": 1,⏎}            | 400 malformed_json | line 3
        POST CALLS | application/json | {'to': 1}               | 400 malformed_json | column 2
        POST CALLS | application/json | {} {}                   | 400 malformed_json | trailing
        POST CALLS | application/json | {"metadata":{"n":1e999}} | 400 malformed_json | range
        POST CALLS | application/json | {"to":"\ud83d"}         | 400 malformed_json | column
        POST CALLS | application/json | {"to":"+1               | 400 malformed_json | EOF
        POST CALLS | application/json | []                      | 422 invalid_request | JSON object
        POST CALLS | application/json | "call"                  | 422 invalid_request | JSON object
        POST CALLS | application/json | null                    | 422 invalid_request | JSON object
        POST CALLS |                  | {}                      | 415 unsupported_media_type | application/json
        POST CALLS | text/plain       | {}                      | 415 unsupported_media_type | application/json
        POST CALLS | application/x-ndjson | {}                  | 415 unsupported_media_type | application/json
        POST CALLS | application/x-www-form-urlencoded | to=1   | 415 unsupported_media_type | application/json
        POST CALLS | application/json; charset=latin1 | {}      | 415 unsupported_media_type | application/json
        "#,
    )
    .await;
}

#[tokio::test]
async fn a_request_without_a_good_number_or_script_says_which_is_missing() {
    check(
        r#"
        POST CALLS | application/json | {}                                              | 422 invalid_request | "to" is missing
        POST CALLS | application/json | {"scriptId":"s"}                                | 422 invalid_request | "to" is missing
        POST CALLS | application/json | {"to":null,"scriptId":"s"}                      | 422 invalid_request | "to" is missing
        POST CALLS | application/json | {"to":"+14155550100"}                           | 422 invalid_request | "scriptId" is missing
        POST CALLS | application/json | {"to":4155550100,"scriptId":"s"}                | 422 invalid_request | "to" must be a string
        POST CALLS | application/json | {"to":{"x":"+14155550100"},"scriptId":"s"}      | 422 invalid_request | "to" must be a string, or a list of strings
        POST CALLS | application/json | {"to":[],"scriptId":"s"}                        | 422 invalid_request | 1 to 10 numbers
        POST CALLS | application/json | {"to":["+14155550100",7],"scriptId":"s"}        | 422 invalid_request | "to"[1] must be a string
        POST CALLS | application/json | {"to":["+14155550100","1"],"scriptId":"s"}      | 422 invalid_request | "to"[1] is not an E.164 number
        POST CALLS | application/json | {"to":"","scriptId":"s"}                        | 422 invalid_request | "to" is not a number: it is empty
        POST CALLS | application/json | {"to":"4155550100","scriptId":"s"}              | 422 invalid_request | E.164
        POST CALLS | application/json | {"to":"+0123456789","scriptId":"s"}             | 422 invalid_request | no country code
        POST CALLS | application/json | {"to":"+123456","scriptId":"s"}                 | 422 invalid_request | "to" is not a number of +1: 10 digits
        POST CALLS | application/json | {"to":"+1234567890123456","scriptId":"s"}       | 422 invalid_request | not 15
        POST CALLS | application/json | {"to":"+1415555\n0100","scriptId":"s"}          | 422 invalid_request | "to" is not a number
        POST CALLS | application/json | {"to":"+14155550100;ext=1","scriptId":"s"}      | 422 invalid_request | leave the extension out
        POST CALLS | application/json | {"to":"+14155550100\u0000","scriptId":"s"}      | 422 invalid_request | U+0000
        POST CALLS | application/json | {"to":"+14155550100","scriptId":""}             | 422 invalid_request | 1 to 200
        POST CALLS | application/json | {"to":"+14155550100","scriptId":7}              | 422 invalid_request | "scriptId" must be a string
        POST CALLS | application/json | {"to":"+14155550100","scriptId":"s","campaign":"nowhere"} | 422 unknown_campaign | nowhere
        "#,
    )
    .await;
}

/// Added to a valid number and script: a bad field | words of the detail.
const FIELDS: &str = r#"
    "phone":"+14155550100"              | "phone" is an unknown field
    "script_id":"s"                     | "script_id" is an unknown field
    "":1                                | "" is an unknown field
    "metadata":[]                       | "metadata" must be a JSON object
    "metadata":"x"                      | "metadata" must be a JSON object
    "metadata":{"a\u0000":1}            | U+0000
    "from":"5550199"                    | "from" is not an E.164 number
    "from":1                            | "from" must be a string
    "region":1                          | "region" must be a string
    "region":"UK"                       | "region" is not a country
    "campaign":1                        | "campaign" must be a string
    "priority":10                       | 0 to 9
    "priority":-1                       | 0 to 9
    "priority":1.5                      | 0 to 9
    "priority":"1"                      | 0 to 9
    "maxAttempts":0                     | 1 to 20
    "maxAttempts":21                    | 1 to 20
    "maxAttempts":true                  | 1 to 20
    "runAt":"tomorrow"                  | RFC 3339
    "runAt":"2030-01-01T00:00:00"       | RFC 3339
    "runAt":"2030-02-30T00:00:00Z"      | RFC 3339
    "runAt":1700000000                  | "runAt" must be a string
    "expiresAt":"2020-01-01T00:00:00Z"  | past
    "expiresAt":"2030-01-01"            | RFC 3339
    "runAt":"2031-01-01T00:00:00Z","expiresAt":"2030-01-01T00:00:00Z" | later than "runAt"
    "idempotencyKey":""                 | 1 to 255
    "idempotencyKey":5                  | "idempotencyKey" must be a string
"#;

#[tokio::test]
async fn a_field_out_of_its_range_says_the_range() {
    let world = World::new().await;
    let large = format!("\"metadata\":{{\"text\":\"{}\"}}", "x".repeat(17 * 1024));
    let long_key = format!("\"idempotencyKey\":\"{}\"", "k".repeat(256));
    let lines = FIELDS
        .trim()
        .lines()
        .map(|line| line.split_once('|').unwrap());
    let large = [(large.as_str(), "16 KiB"), (long_key.as_str(), "1 to 255")];
    for (field, words) in lines.chain(large) {
        let body = format!("{{\"to\":\"+14155550100\",\"scriptId\":\"s\",{field}}}");
        let answer = ask(&world, "POST CALLS", "application/json", &body).await;
        is(&answer, field, "422 invalid_request", words.trim());
    }
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 0);
}

#[tokio::test]
async fn all_faults_of_a_body_are_told_at_once() {
    let world = World::new().await;
    let pointers = |answer: &Answer| -> String {
        let errors = answer.body["errors"].as_array().unwrap().iter();
        let pointers = errors.map(|fault| fault["pointer"].as_str().unwrap());
        pointers.collect::<Vec<_>>().join(" ")
    };
    let wrong =
        r#"{"to":"5550199","metadata":[],"priority":99,"maxAttempts":0,"runAt":"tomorrow"}"#;
    let answer = ask(&world, "POST CALLS", "application/json", wrong).await;
    is(&answer, wrong, "422 invalid_request", "6 faults");
    assert_eq!(
        pointers(&answer),
        "#/to #/scriptId #/metadata #/priority #/maxAttempts #/runAt"
    );
    let detail = answer.body["errors"][3]["detail"].as_str().unwrap();
    assert!(detail.contains("0 to 9"), "{detail}");
    let strange = r#"{"to":1,"scriptId":2,"a/b":3}"#;
    let answer = ask(&world, "POST CALLS", "application/json", strange).await;
    assert_eq!(pointers(&answer), "#/a~1b #/scriptId #/to");
    let one = r#"{"to":"+14155550100"}"#;
    let answer = ask(&world, "POST CALLS", "application/json", one).await;
    is(
        &answer,
        one,
        "422 invalid_request",
        "\"scriptId\" is missing",
    );
    assert_eq!(pointers(&answer), "#/scriptId");
}

#[tokio::test]
async fn a_query_that_cannot_be_taken_names_the_parameter() {
    check(
        r"
        GET CALLS?status=waiting       | | | 422 invalid_query | unknown field `status`
        GET CALLS?state=done           | | | 422 invalid_query | `waiting`, `dialing`
        GET CALLS?state=               | | | 422 invalid_query | `waiting`, `dialing`
        GET CALLS?limit=0              | | | 422 invalid_query | 1 to 200
        GET CALLS?limit=201            | | | 422 invalid_query | 1 to 200
        GET CALLS?limit=ten            | | | 422 invalid_query | 1 to 200
        GET CALLS?limit=-1             | | | 422 invalid_query | 1 to 200
        GET CALLS?limit=1&limit=2      | | | 422 invalid_query | duplicate field
        GET CALLS?cursor=abc           | | | 422 invalid_query | nextCursor
        GET CALLS?cursor=%F0%9F%98%80  | | | 422 invalid_query | nextCursor
        GET CALLS?to=555               | | | 422 invalid_query | E.164
        GET CALLS?campaign=%00         | | | 422 invalid_query | U+0000
        ",
    )
    .await;
}

#[tokio::test]
async fn a_path_or_an_id_that_is_not_there_is_said_so() {
    check(
        r#"
        GET /nowhere             | | | 404 no_such_route | /docs
        GET /api/v1/nothing      | | | 404 no_such_route | /docs
        GET /api/v2/calls        | | | 404 no_such_route | /docs
        GET CALLS/               | | | 404 no_such_route | /docs
        GET NOBODY               | | | 404 not_found     | no call
        GET NOBODY/why           | | | 404 not_found     | no call
        PATCH NOBODY             | application/json | {"priority":1} | 404 not_found | no call
        POST NOBODY/cancel       | | | 404 not_found     | no call
        POST NOBODY/cancel       | application/json | null           | 404 not_found | no call
        POST NOBODY/redrive      | | | 404 not_found     | no call
        POST NOBODY/resolve      | application/json | {"as":"busy","why":"x"} | 404 not_found | no call
        GET CALLS/7              | | | 422 invalid_id    | UUID
        GET CALLS/%FF%00         | | | 422 invalid_id    | UUID
        PATCH CALLS/7            | application/json | {"priority":1} | 422 invalid_id | UUID
        POST CALLS/x/cancel      | | | 422 invalid_id    | UUID
        POST CALLS/x/redrive     | | | 422 invalid_id    | UUID
        POST CALLS/x/resolve     | application/json | {"as":"busy","why":"x"} | 422 invalid_id | UUID
        GET CALLS/x/why          | | | 422 invalid_id    | UUID
        "#,
    )
    .await;
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_answered_with_those_that_it_takes() {
    let world = World::new().await;
    for (what, allowed) in [
        ("DELETE CALLS", "POST,GET,HEAD"),
        ("PUT NOBODY", "GET,HEAD,PATCH"),
        ("GET CALLS/batch", "POST"),
        ("GET NOBODY/cancel", "POST"),
        ("GET /callbacks/call-status", "POST"),
        ("POST /metrics", "GET,HEAD"),
        ("OPTIONS /api/v1/stats", "GET,HEAD"),
    ] {
        let answer = ask(&world, what, "", "").await;
        is(&answer, what, "405 method_not_allowed", "Allow");
        assert_eq!(answer.header("allow"), allowed, "{what}");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_read_says_why() {
    check(
        r#"
        PATCH NOBODY        | application/json |                      | 400 malformed_json  | empty
        PATCH NOBODY        | application/json | []                   | 422 invalid_request | JSON object
        PATCH NOBODY        | application/json | null                 | 422 invalid_request | JSON object
        PATCH NOBODY        | text/plain       | {}                   | 415 unsupported_media_type | application/json
        PATCH NOBODY        | application/json | {"scriptId":"\u0000"} | 422 invalid_request | U+0000
        POST NOBODY/cancel  | application/json | {"reason":"x"}       | 422 invalid_request | `why`
        POST NOBODY/cancel  | application/json | {"why":1}            | 422 invalid_request | string
        POST NOBODY/cancel  | application/json | {"why":"\u0000"}     | 422 invalid_request | U+0000
        POST NOBODY/cancel  | application/json | why                  | 400 malformed_json  | not JSON
        POST NOBODY/cancel  | text/plain       | why                  | 415 unsupported_media_type | application/json
        POST NOBODY/redrive | application/json | {"force":"yes"}      | 422 invalid_request | boolean
        POST NOBODY/redrive | application/json | [true]               | 422 invalid_request | JSON object
        "#,
    )
    .await;
}

#[tokio::test]
async fn a_batch_that_cannot_be_taken_says_what_to_do() {
    check(
        r"
        POST CALLS/batch | application/json | {}     | 422 invalid_request | array
        POST CALLS/batch | application/json | {}⏎{}  | 400 malformed_json  | line 2
        POST CALLS/batch | application/json |        | 400 malformed_json  | empty
        POST CALLS/batch | text/csv         | to     | 415 unsupported_media_type | application/x-ndjson
        ",
    )
    .await;
}

#[tokio::test]
async fn a_body_above_its_limit_says_the_limit() {
    let world = World::new().await;
    let long_why = json!({"why": "x".repeat(501)}).to_string();
    let of = |length: usize| json!(["x".repeat(length)]).to_string();
    for (what, kind, body, expected, words) in [
        (
            "POST CALLS",
            "application/json",
            of(65 * 1024),
            "413 body_too_large",
            "64 KiB",
        ),
        (
            "PATCH NOBODY",
            "application/json",
            of(65 * 1024),
            "413 body_too_large",
            "64 KiB",
        ),
        (
            "POST NOBODY/cancel",
            "application/json",
            long_why,
            "422 invalid_request",
            "500",
        ),
        (
            "POST CALLS/batch",
            "application/json",
            of(4 << 20),
            "413 body_too_large",
            "pgdial import",
        ),
        (
            "POST CALLS",
            "application/json",
            "[".repeat(2000),
            "400 malformed_json",
            "recursion",
        ),
    ] {
        is(&ask(&world, what, kind, &body).await, what, expected, words);
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_taken_is_named() {
    let world = World::new().await;
    let post = |path: &str| world.ask("POST", path).json(&json!({}));
    let keyed = post("/api/v1/calls/batch")
        .header("idempotency-key", "k")
        .answer()
        .await;
    is(&keyed, "a key", "422 invalid_request", "each item");
    let packed = post("/api/v1/calls")
        .header("content-encoding", "gzip")
        .answer()
        .await;
    is(
        &packed,
        "gzip",
        "415 unsupported_media_type",
        "uncompressed",
    );
    let twice = post("/api/v1/calls")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b");
    is(
        &twice.answer().await,
        "two keys",
        "422 invalid_request",
        "one Idempotency-Key",
    );
    let bytes = post("/api/v1/calls").header("idempotency-key", &b"\xff\xfe"[..]);
    is(
        &bytes.answer().await,
        "bytes",
        "422 invalid_request",
        "in ASCII",
    );
    let empty = post("/api/v1/calls").header("idempotency-key", "");
    is(
        &empty.answer().await,
        "no key",
        "422 invalid_request",
        "\"to\" is missing",
    );
}
