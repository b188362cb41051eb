//! Every way in gives a number the same spelling: SQL and Rust read numbers as libphonenumber does.

use std::collections::BTreeMap;

use pgdial::{
    domain::{Outcome, Phone, Region},
    flow::enqueue::Enqueued,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use crate::support::{TestDb, ask, number};

/// Spellings that pgdial deliberately reads differently from libphonenumber, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "local",
        "the library calls a number possible that rings within its area only (+1 310 1234): a provider dials from elsewhere",
    ),
    (
        "size",
        "E.164 has 15 digits at most, and below 7 it is a service of one country (+98 9601): no column takes it",
    ),
    (
        "extension",
        "the library keeps it beside the number: a provider cannot dial it, and a switchboard would answer for the person",
    ),
    (
        "sign",
        "marks of writing direction and spaces of other widths come with what people paste; the library stops at them",
    ),
    (
        "unstable",
        "of +49 00 30 the library makes +49 0 30, and of that +49 30: here the first reading is the last",
    ),
];

/// The text, the region, how libphonenumber and pgdial read it, and why they differ.
struct Case {
    text: String,
    region: Option<String>,
    library: Option<String>,
    ours: Option<String>,
    why: String,
}

/// The committed cases; `scripts/phone-plans compare` uses others.
fn cases() -> Vec<Case> {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/phone_cases.tsv");
    let path = std::env::var_os("PHONE_CASES").unwrap_or_else(|| committed.into());
    let file = std::fs::read_to_string(path).unwrap();
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let cases = lines.map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [text, region, library, ours, why] = cells[..] else {
            panic!("not five cells: {line}");
        };
        Case {
            text: serde_json::from_str(text).unwrap(),
            region: given(region),
            library: given(library),
            ours: given(ours),
            why: why.to_owned(),
        }
    });
    cases.collect()
}

type Read = Result<String, String>;

/// How SQL reads each: the number, or its error.
async fn in_sql(db: &TestDb, items: &[(String, Option<String>)]) -> Vec<Read> {
    let (texts, regions): (Vec<_>, Vec<_>) = items.iter().cloned().unzip();
    let sql = "select pgdial.normal_phone(t, r), pgdial.phone_problem(t, r) \
               from unnest($1::text[], $2::text[]) with ordinality as i (t, r, n) order by n";
    let rows: Vec<(Option<String>, Option<String>)> = sqlx::query_as(sql)
        .bind(texts)
        .bind(regions)
        .fetch_all(&db.pool)
        .await
        .unwrap();
    let read = rows.into_iter().map(|row| match row {
        (Some(phone), None) => Ok(phone),
        (None, Some(problem)) => Err(problem),
        other => panic!("a number or a problem: {other:?}"),
    });
    read.collect()
}

fn in_rust(text: &str, region: Option<&str>) -> Read {
    let region = region.map(|region| region.parse::<Region>().unwrap());
    let phone = Phone::parse_in(text, region);
    phone
        .map(|phone| phone.as_e164().to_owned())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_spelling_is_read_as_libphonenumber_reads_it() {
    let db = TestDb::new().await;
    let cases = cases();
    assert!(cases.len() > 3400, "{}", cases.len());
    let items: Vec<_> = cases
        .iter()
        .map(|case| (case.text.clone(), case.region.clone()))
        .collect();
    let mut differences = BTreeMap::new();
    for (case, in_sql) in cases.iter().zip(in_sql(&db, &items).await) {
        let (text, region) = (&case.text, case.region.as_deref());
        let in_rust = in_rust(text, region);
        assert_eq!(in_sql, in_rust, "{text:?} in {region:?}");
        let ours = in_rust.ok();
        assert_eq!(ours, case.ours, "{text:?} in {region:?}");
        if ours != case.library {
            *differences.entry(case.why.as_str()).or_insert(0) += 1;
        }
    }
    let argued = |why: &&str| DIFFERENCES.iter().any(|(known, _)| known == why);
    assert!(differences.keys().all(argued), "{differences:?}");
}

/// Odd text around numbers: what people paste, and what they should not.
fn odd_text() -> impl Strategy<Value = String> {
    let piece = proptest::prop_oneof![
        8 => "[0-9]{1,6}",
        3 => "[ .()/-]{1,3}",
        3 => proptest::strategy::Just("+".to_owned()),
        1 => "[\\n\\r\\t\u{a0}\u{2009}\u{ff0b}'\"=#,;x~]",
        1 => "(tel:|;ext=|;phone-context=|;isub=|ext\\.|E\\+|\\.0)",
        1 => "[٠-٩０-９]{1,3}",
        1 => "\\PC{1,3}",
    ];
    proptest::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

#[tokio::test]
async fn a_number_is_read_alike_in_rust_and_in_sql() {
    let db = TestDb::new().await;
    let mut runner = TestRunner::default();
    let mut items: Vec<(String, Option<String>)> = (0..6000)
        .map(|_| odd_text().new_tree(&mut runner).unwrap().current())
        .map(|text| (text.replace('\0', ""), None))
        .collect();
    // A third begin like an international number and a third are in national format, so that both outcomes are
    // common.
    for (n, (text, region)) in items.iter_mut().enumerate() {
        match n % 6 {
            0 | 1 => text.insert_str(0, "+49"),
            2 => *region = Some("DE".to_owned()),
            3 => *region = Some("ar".to_owned()),
            _ => {}
        }
    }
    let odd = [
        "",
        "+",
        "+14155550100\n",
        "\n+14155550100",
        "+14155550100\r",
        "\u{85}",
        "E+1",
        "=\"\"",
    ];
    items.extend(odd.map(|text| (text.to_owned(), None)));
    items.push(("1".repeat(251), None));
    let mut numbers = 0;
    for ((text, region), in_sql) in items.iter().zip(in_sql(&db, &items).await) {
        let in_rust = in_rust(text, region.as_deref());
        numbers += i32::from(in_rust.is_ok());
        assert_eq!(in_rust, in_sql, "{text:?} in {region:?}");
    }
    assert!(numbers > 200, "only {numbers} were numbers");
}

/// Most numbers arrive in E.164 and are not parsed in full.
#[tokio::test]
async fn the_short_way_reads_what_the_long_way_reads() {
    let db = TestDb::new().await;
    let numbers = "select '+' || (100 + floor(random() * 900)) || right('000000000000' || floor(random() * 1e12)::bigint, 4 + n % 9) \
                   as t from generate_series(1, 50000) n";
    let wrong =
        "pgdial.is_normal_phone(t) and (pgdial.read_phone(t, null)).phone is distinct from t";
    let short = "pgdial.is_normal_phone(t)";
    let sql =
        format!("select string_agg(t, ' ') filter (where {wrong}) from ({numbers} offset 0) n");
    assert_eq!(db.text(&sql).await, "");
    let sql = format!("select count(*) filter (where {short}) from ({numbers} offset 0) n");
    assert!(db.number(&sql).await > 5000);
}

#[tokio::test]
async fn a_person_has_one_number_at_every_door() {
    let db = TestDb::new().await;
    let spellings = [
        "+447700900115",
        "+44 (0)7700 900115",
        "+4407700900115",
        "tel:+44-7700-900115",
        "\u{202a}+44\u{202f}7700\u{2011}900115\u{202c}",
        "+٤٤٧٧٠٠٩٠٠١١٥",
        "'+447700900115",
    ];
    let mut session = db.session().await;
    for spelled in spellings {
        let id = db.enqueue(spelled).await;
        assert_eq!(db.column(id, "phone").await, "+447700900115", "{spelled}");
        let filter = json!({ "to": spelled }).to_string();
        let found = format!(
            "(pgdial.read_filter('{}')).phone",
            filter.replace('\'', "''")
        );
        assert_eq!(ask(&mut session, &found).await, "+447700900115");
    }
    assert_eq!(
        db.claim(10).await.len(),
        1,
        "one in flight, however it is spelled"
    );
    let listed = "pgdial.do_not_call_add('+44 (0)7700 900115', 'asked')";
    assert_eq!(ask(&mut session, listed).await, "true");
    for spelled in spellings {
        let request = json!({ "to": spelled, "scriptId": "s" });
        let refused = db.calls.enqueue("tester", &[request]).await.unwrap();
        let refused = format!("{refused:?}");
        assert!(refused.contains("do-not-call list"), "{spelled}: {refused}");
    }
    let off = "pgdial.do_not_call_remove('+44 07700 900115')";
    assert_eq!(ask(&mut session, off).await, "true");
    let forget = "pgdial.forget('+44 (0)7700 900115', 'asked', true) -> 'counts' ->> 'calls'";
    assert_eq!(ask(&mut session, forget).await, spellings.len().to_string());
}

#[tokio::test]
async fn a_national_number_is_read_where_its_request_or_its_campaign_is_dialled() {
    let db = TestDb::new().await;
    db.sql("select pgdial.create_campaign('uk', '{\"region\": \"gb\"}')")
        .await;
    for (request, phone) in [
        (
            json!({ "to": "(415) 555-0100", "region": "US", "from": "415 555 0199" }),
            "+14155550100 +14155550199",
        ),
        (
            json!({ "to": "07700 900115", "campaign": "uk" }),
            "+447700900115 ",
        ),
        (
            json!({ "to": "(415) 555-0100", "campaign": "uk", "region": "us" }),
            "+14155550100 ",
        ),
        (
            json!({ "to": "+1 415 555 0100", "campaign": "uk" }),
            "+14155550100 ",
        ),
        (
            json!({ "to": "011 44 7700 900115", "region": "US" }),
            "+447700900115 ",
        ),
    ] {
        let mut request = request;
        request["scriptId"] = "s".into();
        let id = db.enqueue_as(request).await;
        assert_eq!(
            db.column(id, "concat(phone, ' ', from_number)").await,
            phone
        );
    }
    for (request, words) in [
        (
            json!({ "to": "07700 900115" }),
            "\"to\" is not an E.164 number: write + and the country code",
        ),
        (
            json!({ "to": "07700 900115", "campaign": "uk", "from": "1" }),
            "\"from\" is not a number of +44: 7, 9 or 10 digits",
        ),
        (
            json!({ "to": "+14155550100", "region": "ZZ" }),
            "\"region\" is not a country: write the two letters",
        ),
        (
            json!({ "to": "+14155550100", "region": "800" }),
            "\"region\" is not a country",
        ),
        (
            json!({ "to": "+14155550100", "region": 1 }),
            "\"region\" must be a string",
        ),
    ] {
        let mut request = request;
        request["scriptId"] = "s".into();
        let refused = db.calls.enqueue("tester", &[request]).await.unwrap();
        let refused = format!("{refused:?}").replace("\\\"", "\"");
        assert!(refused.contains(words), "{refused}");
    }
    let by_region = "select pgdial.enqueue('415-555-0101', 's', p_region => 'US')";
    db.sql(by_region).await;
    let (_, message) = db
        .refusal("select pgdial.set_campaign('uk', '{\"region\": \"UK\"}')")
        .await;
    assert_eq!(
        message,
        "\"region\" must be a country in two letters, as in US, or null for none"
    );
    db.sql("select pgdial.set_campaign('uk', '{\"region\": null}')")
        .await;
    let refused = json!({ "to": "07700 900115", "campaign": "uk", "scriptId": "s" });
    let refused = db.calls.enqueue("tester", &[refused]).await.unwrap();
    assert!(
        format!("{refused:?}").contains("not an E.164 number"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn one_key_is_one_request_however_its_number_is_spelled() {
    let db = TestDb::new().await;
    let keyed = |to: &str, region: Value| json!({ "to": to, "region": region, "scriptId": "s", "idempotencyKey": "k" });
    let id = db.enqueue_as(keyed("+447700900115", Value::Null)).await;
    for again in [
        keyed("+44 (0)7700 900115", Value::Null),
        keyed("07700 900115", "GB".into()),
    ] {
        let answers = db.calls.enqueue("tester", &[again]).await.unwrap();
        assert_eq!(answers, [Enqueued::Duplicate(id)]);
    }
}

/// Tables of numbers change: a number accepted under an older one still works, and its call can be changed and ended.
#[tokio::test]
async fn a_number_that_is_possible_no_more_goes_its_way() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    db.sql(&format!(
        "update pgdial.calls set phone = '+10000000' where id = '{id}'"
    ))
    .await;
    let amend = format!(
        "select verdict from pgdial.amend_many('[{{\"id\": \"{id}\", \"by\": \"tester\", \"changes\": {{\"priority\": 7}}}}]')"
    );
    assert_eq!(db.text(&amend).await, "amended");
    let call = db.claim(1).await.remove(0);
    assert_eq!(call.phone.as_e164(), "+10000000");
    assert_eq!(call.phone.to_string(), "+100***00");
    db.settle(&call, Outcome::Answered).await;
    assert_eq!(db.state(id).await, "completed");
}
