use std::io::Cursor;

use serde_json::{Value, json};

use super::*;

fn with_script() -> Rules {
    Rules {
        script: Some("welcome".to_owned()),
        ..Rules::default()
    }
}

fn mapping(map: &[(&str, &str)], mut rules: Rules) -> Rules {
    let map = map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    rules.read.map = map.collect();
    rules
}

fn opened(bytes: &[u8], rules: &Rules) -> Result<Source, Error> {
    let reader = Box::new(Cursor::new(bytes.to_vec()));
    Source::open(Opened::reader(reader, &rules.read)?, Path::new("-"), rules)
}

fn rows_of(source: &mut Source, most: usize) -> Vec<Row> {
    match source {
        Source::List(rows) => rows.batch(most),
        Source::Lines(lines, _) => lines.batch(most),
    }
    .unwrap()
}

/// Line of every row with its request, or with the reason why there is none.
fn read(text: &str, rules: &Rules) -> Vec<(u64, Result<Value, String>)> {
    let mut source = opened(text.as_bytes(), rules).unwrap();
    let rows = rows_of(&mut source, usize::from(u8::MAX)).into_iter();
    rows.map(|row| (row.line, row.request.map_err(|refusal| refusal.detail)))
        .collect()
}

fn only(text: &str, rules: &Rules) -> Value {
    let mut rows = read(text, rules);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0).1.unwrap()
}

fn refusal(header: &str, rules: &Rules) -> String {
    match opened(header.as_bytes(), rules) {
        Ok(_) => panic!("{header} was taken"),
        Err(error) => format!("{error} {}", error.hint.as_deref().unwrap_or_default()),
    }
}

#[test]
fn a_row_becomes_a_request_with_its_line() {
    let text = "\u{feff}to,scriptId,campaign,from,priority,runAt,expiresAt,maxAttempts,idempotencyKey,metadata\n\
                +14155550100,welcome,spring,+14155550199,9,2026-01-31T09:00:00Z,2026-01-31T17:00:00Z,5,k1,\"{\"\"a\"\":1}\"\n";
    let want = json!({
        "to": "+14155550100", "scriptId": "welcome", "campaign": "spring", "from": "+14155550199",
        "priority": 9, "runAt": "2026-01-31T09:00:00Z", "expiresAt": "2026-01-31T17:00:00Z",
        "maxAttempts": 5, "idempotencyKey": "k1", "metadata": {"a": 1},
    });
    assert_eq!(read(text, &Rules::default()), [(2, Ok(want.clone()))]);
    let other = text
        .replace("scriptId", "script_id")
        .replace("runAt", "Run at")
        .replace("to,", "TO,");
    assert_eq!(only(&other, &Rules::default()), want);
}

#[test]
fn metadata_columns_are_texts_and_win() {
    let text = "to,metadata,metadata.name,Metadata.zip,First Name\n+14155550100,\"{\"\"name\"\":\"\"x\"\",\"\"n\"\":1}\",Ada,01234,A\n";
    assert_eq!(
        only(text, &with_script())["metadata"],
        json!({"name": "Ada", "n": 1, "zip": "01234", "First Name": "A"})
    );
}

#[test]
fn the_number_is_found_under_the_names_that_people_give_it() {
    for name in [
        "to",
        "To",
        "phone",
        "Phone Number",
        "phone_number",
        "PHONE-NUMBER",
        "number",
        "Mobile",
        "contact_number",
        "Telefon",
        "Tel.",
        "Handy-Nr",
        "msisdn",
    ] {
        let text = format!("{name},x\n+14155550100,1\n");
        let is_known = name != "Handy-Nr";
        if is_known {
            assert_eq!(only(&text, &with_script())["to"], "+14155550100", "{name}");
        } else {
            assert!(refusal(&text, &with_script()).contains("--map COLUMN=to"));
        }
        let told = mapping(&[(name, "to")], with_script());
        assert_eq!(only(&text, &told)["to"], "+14155550100", "{name}");
    }
}

#[test]
fn of_several_numbers_a_person_says_which() {
    let text = "Phone,Mobile Phone,name\n+14155550100,,Ada\n+14155550101,+14155550102,Bob\n";
    let refused = refusal(text, &with_script());
    assert!(
        refused.contains(r#"several columns could be "to": "Phone", "Mobile Phone""#),
        "{refused}"
    );
    assert!(refused.contains(r#"--map "Phone=to""#), "{refused}");
    let told = mapping(&[("mobile_phone", "to"), ("Phone", "to")], with_script());
    let numbers: Vec<Value> = read(text, &told)
        .into_iter()
        .map(|(_, request)| request.unwrap()["to"].clone())
        .collect();
    assert_eq!(numbers, ["+14155550100", "+14155550102"]);
    let all = Rules {
        all_numbers: true,
        ..told
    };
    let numbers: Vec<Value> = read(text, &all)
        .into_iter()
        .map(|(_, request)| request.unwrap()["to"].clone())
        .collect();
    assert_eq!(
        numbers,
        [
            json!("+14155550100"),
            json!(["+14155550102", "+14155550101"])
        ]
    );
    // Our own name for a field wins.
    let own = only("to,phone\n+14155550100,+14155550101\n", &with_script());
    assert_eq!(own["metadata"], json!({"phone": "+14155550101"}));
}

#[test]
fn a_field_may_hold_several_numbers_of_one_person() {
    let text = "to\n+1 415 555 0100; +14155550101;\n+14155550102\n+14155550101\n";
    let rows = read(text, &with_script());
    let to = |at: usize| rows[at].1.clone().map(|request| request["to"].clone());
    assert_eq!(to(0), Ok(json!(["+14155550100", "+14155550101"])));
    assert_eq!(to(1), Ok(json!("+14155550102")));
    assert!(to(2).unwrap_err().contains("the number of line 2"));
    let request = json!({"to": ["+14155550100", "555"], "scriptId": "s"});
    assert!(check(&request).unwrap_err().starts_with("\"to\"["));
}

#[test]
fn a_column_is_what_the_command_line_says() {
    let text = "to,When,Notes,From,x\n+14155550100,2026-01-31T09:00:00Z,n,Berlin,{\n";
    let told = [
        ("When", "run_at"),
        ("Notes", "metadata.note"),
        ("from", "metadata.From"),
        ("x", "-"),
    ];
    assert_eq!(
        only(text, &mapping(&told, with_script())),
        json!({ "to": "+14155550100", "scriptId": "welcome", "runAt": "2026-01-31T09:00:00Z",
                "metadata": {"note": "n", "From": "Berlin"} })
    );
    for (map, words) in [
        (("nope", "to"), "there is no column \"nope\""),
        (("Notes", "colour"), "there is no field \"colour\""),
    ] {
        let refused = refusal(text, &mapping(&[map], with_script()));
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn an_agent_is_the_script_only_where_no_other_is_given() {
    let text = "to,agent_id\n+14155550100,a1\n";
    assert_eq!(only(text, &Rules::default())["scriptId"], "a1");
    let given = only(text, &with_script());
    assert_eq!(given["scriptId"], "welcome");
    assert_eq!(given["metadata"], json!({"agent_id": "a1"}));
}

#[test]
fn a_list_without_a_header_is_one_column_or_says_its_places() {
    let bare = read("+14155550164\n+14155550165\n", &with_script());
    let lines: Vec<_> = bare
        .iter()
        .map(|(line, request)| (*line, request.is_ok()))
        .collect();
    assert_eq!(lines, [(1, true), (2, true)]);
    let two = "+14155550164,Ada\n";
    let refused = refusal(two, &with_script());
    assert!(
        refused.contains("no header") && refused.contains("--map 1=to"),
        "{refused}"
    );
    let told = mapping(&[("1", "to"), ("2", "metadata.name")], with_script());
    assert_eq!(only(two, &told)["metadata"], json!({"name": "Ada"}));
}

#[test]
fn empty_fields_are_absent_and_take_what_the_command_line_gives() {
    let rules = Rules {
        campaign: Some("spring".to_owned()),
        ..with_script()
    };
    let text = "to,scriptId,campaign,metadata\n+14155550100,,,\n+14155550101,own,autumn,\n";
    let want = [
        (
            2,
            Ok(json!({"to": "+14155550100", "scriptId": "welcome", "campaign": "spring"})),
        ),
        (
            3,
            Ok(json!({"to": "+14155550101", "scriptId": "own", "campaign": "autumn"})),
        ),
    ];
    assert_eq!(read(text, &rules), want);
}

#[test]
fn a_key_is_of_what_the_row_asks_for_and_not_of_its_place() {
    let rules = Rules {
        key_prefix: Some("may".to_owned()),
        ..with_script()
    };
    let keys = |text: &str| {
        let mut keys: Vec<String> = read(text, &rules)
            .into_iter()
            .map(|(_, request)| {
                request.unwrap()["idempotencyKey"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        keys.sort();
        keys
    };
    let first = keys("to,name\n+14155550100,Ada\n+14155550101,Bob\n");
    assert!(
        first[0].starts_with("may:") && first[0] != first[1],
        "{first:?}"
    );
    for same in [
        "to,name\r\n+14155550100,Ada\r\n\r\n+14155550101,Bob",
        "to,name\r+14155550101,Bob\r+14155550100,Ada\r",
        "name;Phone\nBob;+1 415 555-0101\nAda;+1 (415) 555-0100\n",
        "{\"to\":\"+14155550101\",\"metadata\":{\"name\":\"Bob\"}}\n{\"metadata\":{\"name\":\"Ada\"},\"to\":\"+14155550100\"}",
    ] {
        assert_eq!(keys(same), first, "{same}");
    }
    assert_ne!(keys("to,name\n+14155550100,Ada\n+14155550101,Rob\n"), first);
}

#[test]
fn the_second_row_of_a_number_is_what_the_command_line_says() {
    let text = "to,campaign,idempotencyKey\n+14155550170,,\n+1 (415) 555-0170,default,\n+14155550170,other,\n+1.415.555.0170,,k\n";
    let lines = |on_duplicate| {
        let rules = Rules {
            on_duplicate,
            ..with_script()
        };
        let mut source = opened(text.as_bytes(), &rules).unwrap();
        let rows = rows_of(&mut source, 9).into_iter();
        rows.map(|row| {
            row.request
                .map(drop)
                .map_err(|refusal| (refusal.is_error, refusal.detail))
        })
        .collect::<Vec<_>>()
    };
    let words = "the number of line 2, in the same campaign".to_owned();
    let skipped = Err((false, words.clone()));
    assert_eq!(
        lines(OnDuplicate::Skip),
        [Ok(()), skipped.clone(), Ok(()), skipped]
    );
    let refused = Err((true, words));
    assert_eq!(
        lines(OnDuplicate::Error),
        [Ok(()), refused.clone(), Ok(()), refused]
    );
    assert_eq!(lines(OnDuplicate::Allow), [Ok(()), Ok(()), Ok(()), Ok(())]);
}

#[test]
fn a_row_that_cannot_be_taken_keeps_no_other_of_its_number_out() {
    let text = "to,runAt\n+14155550170,tomorrow\n+14155550170,\n";
    let rows = read(text, &with_script());
    assert!(rows[1].1.is_ok(), "{rows:?}");
    // Same key, same call, which is for the database to say.
    let keyed = "to,idempotencyKey\n+14155550170,k\n+1 415 555 0170,k\n";
    assert!(read(keyed, &with_script()).iter().all(|row| row.1.is_ok()));
}

#[test]
fn a_broken_row_is_told_and_the_next_one_is_read() {
    let text = "to,metadata\n+14155550100,{oops\n+14155550101,a,b,c\n+14155550102,\n";
    let rows = read(text, &with_script());
    let told: Vec<_> = rows
        .iter()
        .map(|(line, request)| (*line, request.is_ok()))
        .collect();
    assert_eq!(told, [(2, false), (3, false), (4, true)]);
    assert!(
        rows[0]
            .1
            .as_ref()
            .unwrap_err()
            .contains("a JSON object looks like")
    );
    assert!(
        rows[1]
            .1
            .as_ref()
            .unwrap_err()
            .contains("4 fields, the header 2")
    );
}

#[test]
fn empty_columns_and_rows_are_nothing_and_a_short_row_ends_early() {
    let text = "to,name,,\n+14155550100,Ada,,\n,,,\n\n+14155550101\n+14155550102,Bob,,,,\n+14155550103,Cy,x,\n";
    let rows = read(text, &with_script());
    let told: Vec<_> = rows
        .iter()
        .map(|(line, row)| (*line, row.is_ok()))
        .collect();
    assert_eq!(told, [(2, true), (5, true), (6, true), (7, false)]);
    assert!(
        rows[3]
            .1
            .as_ref()
            .unwrap_err()
            .contains("stands under no name"),
        "{rows:?}"
    );
}

#[test]
fn a_row_that_is_not_utf_8_is_told_and_the_next_one_is_read() {
    let mut text = "to,name\n+14155550101,J\u{fc}\u{fc}rgen\n"
        .as_bytes()
        .to_vec();
    text.extend(b"+14155550102,\xff\n+14155550103,x\n");
    let mut source = opened(&text, &with_script()).unwrap();
    let rows = rows_of(&mut source, 10);
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.line, row.request.is_ok()))
        .collect();
    assert_eq!(told, [(2, true), (3, false), (4, true)]);
}

#[test]
fn a_header_is_refused_with_what_is_wrong() {
    for (header, script, words) in [
        ("to,to,scriptId\n", false, r#"the column "to" twice"#),
        ("scriptId\n", false, "no column with the number to ring"),
        ("to\n", false, r#"no column "scriptId""#),
        ("", true, "the file is empty"),
        ("[{\"to\":1}]", true, "one JSON array"),
    ] {
        let rules = if script {
            with_script()
        } else {
            Rules::default()
        };
        let refusal = refusal(header, &rules);
        assert!(refusal.contains(words), "{header}: {refusal}");
    }
}

#[test]
fn an_export_is_read_by_its_requests_and_only_what_waits_is_taken() {
    let header: Vec<&str> = crate::export::columns().collect();
    let call = |state: &str| {
        json!({ "id": "x", "to": "+14155550100", "from": null, "campaign": "spring", "scriptId": "-s",
            "priority": 3, "state": state, "outcome": null, "attempt": 1, "maxAttempts": 5,
            "attempts": [], "createdAt": "2026-01-01T00:00:00Z", "runAt": "2026-01-31T09:00:00Z",
            "expiresAt": "2026-01-31T17:00:00Z", "idempotencyKey": "''=k", "owner": "crm",
            "metadata": {"a": "=b"}, "result": {"b": 2} })
    };
    let want = json!({ "to": "+14155550100", "campaign": "spring", "scriptId": "-s", "priority": 3,
        "maxAttempts": 5, "runAt": "2026-01-31T09:00:00Z", "expiresAt": "2026-01-31T17:00:00Z",
        "idempotencyKey": "''=k", "metadata": {"a": "=b"} });
    for format in [crate::export::Format::Csv, crate::export::Format::Ndjson] {
        let written = |state| {
            let bytes = crate::export::Writer::new(format)
                .write(&[call(state)])
                .unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(
            only(&written("waiting"), &Rules::default()),
            want,
            "{header:?}"
        );
        let (_, over) = read(&written("completed"), &Rules::default()).remove(0);
        assert!(
            over.unwrap_err()
                .contains("the call is completed, not waiting")
        );
    }
}

#[test]
fn lines_of_json_end_as_editors_end_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["{\"to\":\"+14155550100\"}", "", "{\"to\":5}", "[]", ""].join(end);
        let rows = read(&format!("\u{feff}{text}"), &with_script());
        let told: Vec<_> = rows
            .iter()
            .map(|(line, row)| (*line, row.is_ok()))
            .collect();
        assert_eq!(told, [(1, true), (3, true), (4, false)], "{end:?}");
    }
}

#[test]
fn batches_follow_each_other_without_loss() {
    let numbers: Vec<String> = (0..7).map(|at| format!("+1415555010{at}\n")).collect();
    let text = format!("to\n{}", numbers.concat());
    let mut source = opened(text.as_bytes(), &with_script()).unwrap();
    let mut sizes = Vec::new();
    let mut lines = Vec::new();
    loop {
        let batch = rows_of(&mut source, 3);
        if batch.is_empty() {
            break;
        }
        sizes.push(batch.len());
        lines.extend(batch.iter().map(|row| row.line));
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_check_finds_what_needs_no_database() {
    for (request, words) in [
        (json!({"scriptId": "s"}), "\"to\" is missing"),
        (
            json!({"to": 14_155_550_100_u64, "scriptId": "s"}),
            "\"to\" must be a string, or a list of strings",
        ),
        (
            json!({"to": ["+14155550100", 7], "scriptId": "s"}),
            "a list of strings",
        ),
        (json!({"to": [], "scriptId": "s"}), "1 to 10 numbers"),
        (
            json!({"to": ["+14155550100", "555"], "scriptId": "s"}),
            "\"to\"[1] is not an E.164",
        ),
        (json!({"to": "+14155550100"}), "\"scriptId\" is missing"),
        (
            json!({"to": "555", "scriptId": "s"}),
            "\"to\" is not an E.164",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "from": "x"}),
            "\"from\"",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "priority": 10}),
            "from 0 to 9",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "priority": "high"}),
            "from 0 to 9",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "maxAttempts": 0}),
            "from 1 to 20",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "runAt": "tomorrow"}),
            "RFC 3339",
        ),
    ] {
        let why = check(&request).unwrap_err();
        assert!(why.contains(words), "{request}: {why}");
    }
    let right =
        json!({"to": "+1 415 555 0100", "scriptId": "s", "runAt": "2026-01-31T09:00:00+01:00"});
    assert_eq!(check(&right), Ok(()));
}

#[test]
fn consent_has_columns_of_its_own() {
    let list = "phone,consent_at,Consent Ref,consentExpiresAt\n\
        +14155550100,2026-01-01T00:00:00Z,form 7,2027-01-01T00:00:00Z\n";
    let request = only(list, &with_script());
    assert_eq!(request["consentAt"], "2026-01-01T00:00:00Z");
    assert_eq!(request["consentRef"], "form 7");
    assert_eq!(request["consentExpiresAt"], "2027-01-01T00:00:00Z");
    assert_eq!(request.get("metadata"), None);
}
