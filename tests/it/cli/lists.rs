//! Lists as people keep them, in `tests/lists/`, and what each one yields.
//!
//! A table: the file, further arguments, exit code, words in the output, and the rows that exist afterwards. Files
//! whose names begin with `d` are do-not-call lists.

use super::{DONE, REFUSED, pgdial};
use crate::support::processes::Machine;

struct Case {
    file: &'static str,
    args: &'static [&'static str],
    code: i32,
    /// On stderr, or in a result.
    words: &'static [&'static str],
    /// `number script metadata`, or `number reason`.
    rows: &'static [&'static str],
}

const fn case(
    file: &'static str,
    args: &'static [&'static str],
    words: &'static [&'static str],
    rows: &'static [&'static str],
) -> Case {
    let code = DONE;
    Case {
        file,
        args,
        code,
        words,
        rows,
    }
}

const fn refused(
    file: &'static str,
    args: &'static [&'static str],
    words: &'static [&'static str],
    rows: &'static [&'static str],
) -> Case {
    let code = REFUSED;
    Case {
        file,
        args,
        code,
        words,
        rows,
    }
}

const SCRIPT: &[&str] = &["--script", "s"];
const NONE: &[&str] = &[];

#[rustfmt::skip]
const CALLS: &[Case] = &[
    // Encodings.
    case("01-utf8-bom.csv", NONE, &["1 created"], &[r#"+14155550101 welcome {"name": "Zoë"}"#]),
    case("02-utf16le-bom-tab.csv", NONE, &["read as UTF-16LE, tabs between"], &[r#"+14155550102 welcome {"name": "Zoë"}"#]),
    case("03-utf16be-bom.csv", NONE, &["read as UTF-16BE, commas between"], &[r#"+14155550103 welcome {"name": "Zoë"}"#]),
    case("04-windows1252.csv", NONE, &["read as windows-1252, commas between"],
        &[r#"+14155550104 welcome {"name": "José"}"#, r#"+14155550105 welcome {"name": "Ann"}"#]),
    case("04-windows1252.csv", &["--encoding", "iso-8859-5"], &[],
        &[r#"+14155550104 welcome {"name": "Josщ"}"#, r#"+14155550105 welcome {"name": "Ann"}"#]),
    case("04b-windows1252-header.csv", NONE, &["windows-1252"], &[r#"+14155550104 welcome {"prénom": "Ann"}"#]),
    case("m5.csv", NONE, &["read as windows-1252, semicolons between"], &[r#"+493023125001 welcome {"name": "Jürgen"}"#]),
    // Delimiters.
    case("05-semicolon.csv", NONE, &["semicolons"], &[r#"+14155550106 welcome {"name": "Zoë"}"#]),
    case("06-tab.tsv", NONE, &["tabs"], &[r#"+14155550107 welcome {"name": "Zoë"}"#]),
    case("06-tab.tsv", &["--delimiter", "tab"], &[], &[r#"+14155550107 welcome {"name": "Zoë"}"#]),
    case("06-tab.tsv", &["--delimiter", "\\t"], &[], &[r#"+14155550107 welcome {"name": "Zoë"}"#]),
    case("09-sep-line.csv", NONE, &["semicolons"], &["+14155550111 welcome {}"]),
    // Line ends.
    case("07-crlf.csv", NONE, &[], &[r#"+14155550108 welcome {"name": "Ann"}"#]),
    refused("m2-crlf-lines.csv", NONE, &["3,error", "5,error"], &["+14155550101 welcome {}", "+14155550102 welcome {}"]),
    refused("m4.csv", NONE, &["5,error"], &["+14155550101 welcome {}"]),
    // Names of columns.
    refused("20-hubspot.csv", SCRIPT, &[r#""Phone Number", "Mobile Phone Number""#, "--map"], NONE),
    case("20-hubspot.csv", &["--script", "s", "--map", "Mobile Phone Number=to", "--map", "Phone Number=to"], &[],
        &[r#"+14155550120 s {"Email": "ada@example.com", "Last Name": "Example", "Record ID": "101", "First Name": "Ada", "Lead Status": "New"}"#]),
    refused("21-apollo.csv", SCRIPT, &["\"Work Direct Phone\", \"Home Phone\", \"Mobile Phone\"", "--map"], NONE),
    case("21-apollo.csv", &["--script", "s", "--map", "Mobile Phone=to", "--map", "Work Direct Phone=to"], &[],
        &[r#"+14155550121 s {"Title": "CTO", "Company": "Acme", "Country": "United States", "Last Name": "Example", "First Name": "Ada", "Corporate Phone": "+1 415-555-0199"}"#]),
    refused("22-google.csv", SCRIPT, &["\"Phone 1 - Value\", \"Phone 2 - Value\"", "--map"], NONE),
    refused("23-salesforce.csv", SCRIPT, &[r#""Phone", "MobilePhone""#, "--map"], NONE),
    case("23-salesforce.csv", &["--script", "s", "--region", "US", "--map", "MobilePhone=to", "--map", "Phone=to"], &[],
        &[r#"+14155550125 s {"DoNotCall": "1", "Last Name": "Example", "First Name": "Ada", "Salutation": "Ms."}"#]),
    case("25-vapi.csv", SCRIPT, &[], &[r#"+14155550128 s {"name": "Ada", "account_tier": "premium"}"#]),
    case("26-retell.csv", SCRIPT, &[], &[r#"+14155550129 s {"first_name": "Ada"}"#]),
    case("27-elevenlabs.csv", SCRIPT, &[],
        &[r#"+14155550130 s {"city": "Boston", "language": "en", "first_message": "Hi Ada"}"#]),
    case("29-bolna.csv", SCRIPT, &[], &[r#"+14155550132 s {"customer_name": "Ada"}"#]),
    case("31-header-case.csv", NONE, &[], &[r#"+14155550133 welcome {"Name": "Ada"}"#]),
    case("32-header-spaces.csv", NONE, &[], &[r#"+14155550134 welcome {"first name": "Ada"}"#]),
    refused("33-dup-header.csv", NONE, &["\"metadata.a\" twice"], NONE),
    refused("34-dup-to.csv", NONE, &["\"to\" twice"], NONE),
    case("35-two-phone-cols.csv", NONE, &[], &[r#"+14155550137 welcome {"phone2": "+14155550138", "phone3": "(415) 555-0139"}"#]),
    case("46-timezone.csv", NONE, &[], &["+14155550155 welcome {}"]),
    case("m1-migrating.csv", NONE, &[], &["+14155550101 welcome {}"]),
    case("50-no-header.csv", SCRIPT, &["2 created"], &["+14155550164 s {}", "+14155550165 s {}"]),
    // Quotes and the shape of rows.
    refused("36-quoted-newline.csv", NONE, &["6,error"],
        &[r#"+14155550140 welcome {"address": "1 Main St\nFloor 2\r\nSF"}"#, r#"+14155550141 welcome {"address": "said \"hi\", left"}"#]),
    refused("52-unclosed-quote.csv", NONE, &["2,error", "never closed", "2 created"],
        &[r#"+14155550168 welcome {"name": "Bob"}"#, r#"+14155550169 welcome {"name": "Cy"}"#]),
    case("37-empty-rows.csv", NONE, &["2 rows: 2 created"], &[r#"+14155550143 welcome {"name": "Ada"}"#, r#"+14155550144 welcome {"name": "Bob"}"#]),
    case("38-trailing-commas.csv", NONE, &[], &[r#"+14155550145 welcome {"name": "Ada"}"#]),
    case("38b-trailing-comma-rows-only.csv", NONE, &[], &[r#"+14155550146 welcome {"name": "Ada"}"#, r#"+14155550147 welcome {"name": "Bob"}"#]),
    case("38c-short-rows.csv", NONE, &[], &["+14155550148 welcome {}", r#"+14155550149 welcome {"name": "Bob"}"#]),
    case("40-zero-rows.csv", NONE, &["0 rows"], NONE),
    refused("41-empty-file.csv", NONE, &["the file is empty"], NONE),
    refused("42-only-bom.csv", NONE, &["the file is empty"], NONE),
    refused("43-nul-in-field.csv", NONE, &["2,error"], &[r#"+14155550152 welcome {"name": "Bob"}"#]),
    refused("44-nul-padding.csv", NONE, &["3,error"], &[r#"+14155550153 welcome {"name": "Ada"}"#]),
    case("58-ctrl-z.csv", NONE, &["1 row: 1 created"], &["+14155550178 welcome {}"]),
    // Contents of fields.
    case("39-lang-columns.csv", NONE, &[], &[r#"+14155550150 welcome {"ar": "مرحبا", "en": "Hello", "es": "¡Hola!"}"#]),
    refused("45-formula.csv", NONE, &["3,error"], &[r#"+14155550154 welcome {"name": "=cmd|' /C calc'!A0"}"#]),
    refused("47-runat-local.csv", NONE, &["1 created, 5 with errors", "RFC 3339"], &["+14155550158 welcome {}"]),
    case("53-dups.csv", NONE, &["3 rows: 1 created, 2 skipped", "3,skipped,,same_number", "4,skipped,,same_number"], &["+14155550170 welcome {}"]),
    refused("53-dups.csv", &["--on-duplicate", "error"], &["3 rows: 1 created, 2 with errors"], &["+14155550170 welcome {}"]),
    case("53-dups.csv", &["--on-duplicate", "allow"], &["3 rows: 3 created"],
        &["+14155550170 welcome {}", "+14155550170 welcome {}", "+14155550170 welcome {}"]),
    refused("54-numbers-as-text-smart.csv", NONE, &["3,error"], &["+14155550171 welcome {}", "+14155550173 welcome {}"]),
    refused("55-metadata-json-excel.csv", NONE, &["2,error", "a JSON object looks like"], &[r#"+14155550175 welcome {"name": "Ada"}"#]),
    case("56-boolean-formatted.csv", NONE, &[], &[r#"+14155550176 welcome {"paid": "TRUE", "amount": "1,234.50"}"#]),
    case("57-utf8-emoji-rtl.csv", NONE, &[], &["+14155550177 welcome {\"name\": \"😀 \u{202e}abc\"}"]),
    // Numbers of one country, and of none.
    refused("r3-us-national.csv", NONE, &["21 rows: 21 with errors", "say in which region"], NONE),
    // Workbooks, and JSON.
    case("leads.xlsx", SCRIPT, &["a workbook, sheet \"Leads\"", "5,skipped,,same_number"],
        &[r#"+14155550180 s {"Age": "42", "Paid": "TRUE", "When": "2027-01-15T09:00:00", "First Name": "Zoë"}"#,
          r#"+14155550181 s {"Age": "1.5", "Paid": "FALSE", "When": "2027-01-16", "First Name": "Bob"}"#]),
    case("leads.xlsx", &["--script", "s", "--sheet", "Other"], &[], &["+14155550182 s {}"]),
    refused("leads.xlsx", &["--script", "s", "--sheet", "None"], &["its sheets are Leads, Other"], NONE),
    refused("r1-leads.xlsx", SCRIPT, &["the workbook cannot be read", "save the sheet as CSV"], NONE),
    refused("r2.ndjson", NONE, &["1,error,,invalid,\"\"\"to\"\" must be a string, or a list of strings\"", "2,error"], NONE),
    refused("r2.ndjson", &["--dry-run"], &["1,error,,invalid,\"\"\"to\"\" must be a string, or a list of strings\"", "2,error"], NONE),
];

#[rustfmt::skip]
const NUMBERS: &[Case] = &[
    case("d1-bom.csv", NONE, &["2 added"], &["+14155550190 asked not to be called", "+14155550191 asked not to be called"]),
    case("d1b-bom-header.csv", NONE, &[], &["+14155550190 x"]),
    case("d2-utf16.csv", NONE, &["UTF-16LE"], &["+14155550192 asked not to be called"]),
    case("d3-semicolon.csv", NONE, &["semicolons"], &["+14155550193 asked"]),
    case("d4-semicolon-noheader.csv", NONE, &["semicolons"], &["+14155550194 asked"]),
    refused("d5-national-dnc.txt", NONE, &["line 1: not an E.164 number", "2 bad lines"], NONE),
    case("d5-national-dnc.txt", &["--region", "US"], &["2 added"],
        &["+14155550101 asked not to be called", "+14155550102 asked not to be called"]),
    refused("d6-ftc-flat.txt", NONE, &["2 bad lines"], NONE),
    case("d6-ftc-flat.txt", &["--region", "US"], &["2 added"],
        &["+14155550101 asked not to be called", "+14155550102 asked not to be called"]),
    case("d7-vicidial-dnc.txt", &["--region", "US"], &["2 added"],
        &["+14155550103 asked not to be called", "+14155550104 asked not to be called"]),
    case("d9-tel.csv", NONE, &["1 added"], &["+14155550196 asked not to be called"]),
    case("d8-header-number.csv", NONE, &[], &["+14155550195 asked not to be called"]),
    case("d8b-header-phone-number.csv", NONE, &[], &["+14155550195 x"]),
    refused("d9b-name-first.csv", NONE, &["line 1 does not begin with a number", "--map 2=phone"], NONE),
    refused("d9b-name-first.csv", &["--map", "2=phone"], &["line 2: not"], &["+14155550197 asked not to be called"]),
    case("d10-cp1252.csv", NONE, &["windows-1252"], &["+14155550198 ok", "+14155550199 demandé"]),
    refused("d13-empty.csv", NONE, &["the file is empty"], NONE),
    case("d14-header-only.csv", NONE, &["0 added"], NONE),
    refused("d15-quoted-unclosed.csv", NONE, &["line 2: a quote is opened and never closed", "2 added"], &["+14155550112 x", "+14155550113 y"]),
    refused("d16-areacode.txt", NONE, &["line 1: not", "0 added, 0 already listed, 1 bad line"], NONE),
    case("d17-second-line-header.csv", NONE, &[], &["+14155550100 x"]),
    case("d18-short-reason.csv", NONE, &[], &["+14155550100 asked not to be called"]),
    refused("d19-nul.csv", NONE, &["line 2: the reason contains the character U+0000"], &["+14155550101 ok"]),
];

async fn run(cases: &[Case], command: &[&str], select: &str) {
    let machine = Machine::new().await;
    for Case {
        file,
        args,
        code,
        words,
        rows,
    } in cases
    {
        machine
            .db
            .sql("truncate pgdial.calls, pgdial.call_events, pgdial.do_not_call")
            .await;
        let path = format!("{}/tests/lists/{file}", env!("CARGO_MANIFEST_DIR"));
        let ran = pgdial(&machine, &[command, &[&path], args].concat());
        assert_eq!(ran.code, *code, "{file} {args:?}: {ran:?}");
        for words in *words {
            let is_said = ran.words.contains(words) || ran.data.contains(words);
            assert!(is_said, "{file} {args:?}: {words:?} is not in {ran:?}");
        }
        let stored = machine.db.text(select).await;
        assert_eq!(
            stored.split_terminator('\u{1e}').collect::<Vec<_>>(),
            *rows,
            "{file} {args:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_of_calls_gives_what_a_person_expects() {
    let select = "select string_agg(concat_ws(' ', phone, script_id, metadata), E'\\x1e' order by id) from pgdial.calls";
    run(CALLS, &["import"], select).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_of_numbers_gives_what_a_person_expects() {
    let select = "select string_agg(concat_ws(' ', phone, reason), E'\\x1e' order by phone) from pgdial.do_not_call";
    run(NUMBERS, &["dnc", "import"], select).await;
}

/// One stray quote in the middle of two hundred rows costs only its own row.
#[tokio::test(flavor = "multi_thread")]
async fn a_stray_quote_costs_its_own_row_and_no_other() {
    let machine = Machine::new().await;
    for file in ["q1-stray-mid.csv", "q2-stray-last.csv"] {
        let path = format!("{}/tests/lists/{file}", env!("CARGO_MANIFEST_DIR"));
        let ran = pgdial(&machine, &["import", &path]);
        assert_eq!(ran.code, REFUSED, "{ran:?}");
        assert!(
            ran.words
                .ends_with("200 rows: 199 created, 1 with errors\n"),
            "{ran:?}"
        );
        assert!(
            ran.data.contains("\n51,error,,invalid,\"a quote is opened"),
            "{ran:?}"
        );
        machine
            .db
            .sql("truncate pgdial.calls, pgdial.call_events")
            .await;
    }
}

/// Numbers in one country's national format belong to that country, however they are spelled.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_one_country_need_its_name_and_no_more() {
    let machine = Machine::new().await;
    let import = |file: &str, more: &[&str]| {
        let path = format!("{}/tests/lists/{file}", env!("CARGO_MANIFEST_DIR"));
        pgdial(&machine, &[&["import", &path], more].concat())
    };
    let ran = import("r3-us-national.csv", &["--region", "US"]);
    let taken = machine.db.text("select count(*) || ' ' || count(distinct phone) from pgdial.calls where phone like '+1415555____'").await;
    assert_eq!(ran.words, "21 rows: 21 created\n", "{}", ran.data);
    assert_eq!(taken, "21 21");
    // The same list in another spelling yields the same keys.
    machine
        .db
        .sql("truncate pgdial.calls, pgdial.call_events")
        .await;
    let keyed = |file: &str, more: &[&str]| {
        let args = [&["import", "-", "--script", "s", "--key-prefix", "k"], more].concat();
        super::pgdial_reading(&machine, &args, file).words
    };
    assert_eq!(
        keyed("to\n(415) 555-0100\n", &["--region", "US"]),
        "1 row: 1 created\n"
    );
    assert_eq!(keyed("Phone\n+14155550100\n", &[]), "1 row: 1 duplicate\n");
    assert_eq!(
        keyed("to\n415.555.0100\n+1 415 555 0100\n", &["--region", "US"]),
        "2 rows: 2 duplicate\n"
    );
}

/// However the list was saved, importing it again makes no second call.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_saved_anew_is_the_same_list() {
    let machine = Machine::new().await;
    let mut verdicts = Vec::new();
    for file in ["m3-lf.csv", "m3-crlf.csv"] {
        let path = format!("{}/tests/lists/{file}", env!("CARGO_MANIFEST_DIR"));
        let ran = pgdial(&machine, &["import", &path, "--key-prefix", "june"]);
        verdicts.push(ran.words);
    }
    assert_eq!(verdicts, ["3 rows: 3 created\n", "3 rows: 3 duplicate\n"]);
}
