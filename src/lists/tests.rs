use super::*;

fn opened(bytes: &[u8], args: &ReadArgs) -> List {
    let reader = Box::new(io::Cursor::new(bytes.to_vec()));
    let opened = Opened::reader(reader, args).unwrap();
    opened.list(args, false).unwrap()
}

/// Line and fields of each row; for an error, the beginning of its message.
fn rows_of(mut list: List) -> Vec<(u64, String)> {
    let mut rows = Vec::new();
    while let Some(record) = list.next().unwrap() {
        let words = match record.fields {
            Ok(fields) => fields.join("|"),
            Err(why) => format!("! {why}"),
        };
        rows.push((record.line, words));
    }
    rows
}

fn rows(text: &str) -> Vec<(u64, String)> {
    rows_of(opened(text.as_bytes(), &ReadArgs::default()))
}

/// As [`rows_of`], for lists whose whole rows have `width` fields with the number in the first.
fn whole_rows(text: &str, width: usize) -> Vec<(u64, String)> {
    let mut list = opened(text.as_bytes(), &ReadArgs::default());
    list.expect(width, 0);
    rows_of(list)
}

fn row(line: u64, fields: &str) -> (u64, String) {
    (line, fields.to_owned())
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["a,b", "", "1,\"x", "y\"", "2,z", ""].join(end);
        let expected = [row(1, "a|b"), row(3, &format!("1|x{end}y")), row(5, "2|z")];
        assert_eq!(rows(&text), expected, "{end:?}");
        // Also without an end after the last line.
        assert_eq!(rows(text.trim_end()), expected, "{end:?}");
    }
}

#[test]
fn fields_are_trimmed_and_quotes_are_undone() {
    let text = " a , \"b, c\" ,\"say \"\"hi\"\"\",5\" pipe,\"\"\n";
    assert_eq!(rows(text), [row(1, "a|b, c|say \"hi\"|5\" pipe|")]);
}

#[test]
fn a_row_is_the_same_wherever_the_file_was_cut_for_reading() {
    let row = "+14155550100,\"a\r\n\"\"b\"\"\",\u{fc}\r\n";
    let text = row.repeat(10_000);
    let rows = rows(&text);
    assert_eq!(rows.len(), 10_000);
    let all_right = rows.iter().zip(0..).all(|((line, fields), nth)| {
        *line == 1 + 2 * nth && fields == "+14155550100|a\r\n\"b\"|\u{fc}"
    });
    assert!(all_right);
}

#[test]
fn a_quote_that_the_next_one_does_not_close_costs_its_line_alone() {
    let text = "+1,\"Bob,k1\n+2,Ann,k2\n+3,\"Al, B\",k3\n+4,Cy,k4\n";
    let found = rows(text);
    assert_eq!(found[0].0, 1);
    assert!(
        found[0]
            .1
            .starts_with("! a quote is opened and the next one, in line 3,"),
        "{found:?}"
    );
    assert_eq!(
        found[1..],
        [
            row(2, "+2|Ann|k2"),
            row(3, "+3|Al, B|k3"),
            row(4, "+4|Cy|k4")
        ]
    );
    let inside = rows("+1,\"Al \"Buzz\" B\",k\n+2,x,y\n");
    assert!(
        inside[0]
            .1
            .starts_with("! a quote in the middle of a quoted field"),
        "{inside:?}"
    );
    assert_eq!(inside[1], row(2, "+2|x|y"));
}

#[test]
fn a_quote_that_is_never_closed_costs_its_line_alone() {
    for end in ["", "\n"] {
        let found = rows(&format!("+1,\"Ada\n+2,Bob\n+3,Cy{end}"));
        assert!(
            found[0]
                .1
                .starts_with("! a quote is opened and never closed"),
            "{found:?}"
        );
        assert_eq!(found[1..], [row(2, "+2|Bob"), row(3, "+3|Cy")]);
    }
    assert!(rows("+1,x\n+2,\"")[1].1.contains("never closed"));
    // However long the rest of the file is.
    let rest = "+14155550100,Name\n".repeat(100_000);
    let found = rows(&format!("+1,\"Ada\n{rest}"));
    assert_eq!(found.len(), 100_001);
    assert!(found[0].1.contains("never closed"), "{:?}", found[0]);
    assert_eq!(found[100_000].0, 100_001);
}

#[test]
fn what_stands_within_a_quote_that_was_not_closed_must_be_whole() {
    let mut list = opened(b"+1,\"Ada\n+2\n+3,\"x\"\n+4\n", &ReadArgs::default());
    let mut must = Vec::new();
    while let Some(record) = list.next().unwrap() {
        must.push(record.must_be_whole);
    }
    assert_eq!(must, [false, true, true, false]);
}

#[test]
fn a_field_that_swallows_rows_is_an_error_though_its_quotes_are_right() {
    // Two rows with one quote too many each look right together.
    let text = "+14155550100,\"6' tall\n+14155550101,x\n+14155550102,5' 2\"\n+14155550103,y\n";
    let found = whole_rows(text, 2);
    assert!(
        found[0].1.starts_with(
            "! lines 1 to 3 are one row as the quotes stand, but line 2 looks like a row"
        ),
        "{found:?}"
    );
    assert_eq!(found[1..], [row(4, "+14155550103|y")]);
    let neighbours = "+14155550100,\"6' tall\n+14155550102,5' 2\"\n";
    assert!(
        whole_rows(neighbours, 2)[0]
            .1
            .contains("line 2 looks like a row")
    );
}

#[test]
fn a_field_of_several_lines_is_no_error() {
    for text in [
        "+14155550100,\"1 Main St\nFloor 2\nSF\"\n",
        "+14155550100,\"call\n+14155550101\nfirst\"\n",
        "+14155550100,\"a, b\nc, d\"\n",
        "+14155550100,\"Main St\n5\"\n",
    ] {
        let found = whole_rows(text, 2);
        assert!(
            found.len() == 1 && !found[0].1.starts_with('!'),
            "{found:?}"
        );
    }
}

#[test]
fn the_delimiter_is_what_divides_the_first_lines() {
    for (text, about, fields) in [
        ("a,b\n1,2\n", "commas", "a|b"),
        ("a;b\n1,5;2,5\n", "semicolons", "a|b"),
        ("a\tb, c\n1\t2\n", "tabs", "a|b, c"),
        ("a|b\n", "vertical bars", "a|b"),
        ("\"a;b\",c\n1,2\n", "commas", "a;b|c"),
        ("a\n1\n", "commas", "a"),
        (
            "name;phone (home, work)\nx;1\n",
            "semicolons",
            "name|phone (home, work)",
        ),
    ] {
        let list = opened(text.as_bytes(), &ReadArgs::default());
        assert_eq!(
            list.about,
            format!("UTF-8, {about} between the fields"),
            "{text:?}"
        );
        let found = rows_of(list);
        assert_eq!(found[0].1, fields, "{text:?}");
    }
    let told = ReadArgs {
        delimiter: Some(delimiter("\\t").unwrap()),
        ..ReadArgs::default()
    };
    assert_eq!(rows_of(opened(b"a,b\tc\n", &told)), [row(1, "a,b|c")]);
    assert_eq!(delimiter("tab"), delimiter("\t"));
    for wrong in ["", ";;", "\"", "\u{fc}"] {
        assert!(delimiter(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_line_that_names_the_delimiter_is_no_row() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["sep=;", "to;b", "+1;x", ""].join(end);
        assert_eq!(rows(&text), [row(2, "to|b"), row(3, "+1|x")], "{end:?}");
    }
}

#[test]
fn the_encoding_is_what_the_bytes_show() {
    let text = "to,name\n+14155550100,Jos\u{e9} Garc\u{ed}a, se\u{f1}or\n";
    let utf16 = |bytes: fn(u16) -> [u8; 2], mark: &str| {
        let text = format!("{mark}{text}");
        text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
    };
    let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(text);
    for (bytes, name) in [
        (text.as_bytes().to_vec(), "UTF-8"),
        (format!("\u{feff}{text}").into_bytes(), "UTF-8"),
        (utf16(u16::to_le_bytes, "\u{feff}"), "UTF-16LE"),
        (utf16(u16::to_be_bytes, "\u{feff}"), "UTF-16BE"),
        (utf16(u16::to_le_bytes, ""), "UTF-16LE"),
        (windows.into_owned(), "windows-1252"),
    ] {
        let list = opened(&bytes, &ReadArgs::default());
        assert!(list.about.starts_with(name), "{}", list.about);
        let found = rows_of(list);
        assert_eq!(found[0], row(1, "to|name"), "{name}");
        assert!(
            found[1].1.contains("Jos\u{e9} Garc\u{ed}a"),
            "{name}: {found:?}"
        );
    }
    let told = ReadArgs {
        encoding: Some(encoding_named("latin1").unwrap()),
        ..ReadArgs::default()
    };
    assert_eq!(rows_of(opened(b"\xe9\n", &told)), [row(1, "\u{e9}")]);
    assert!(encoding_named("klingon").is_err());
}

#[test]
fn one_broken_row_does_not_make_utf_8_something_else() {
    let mut bytes = "J\u{fc}rgen\nZo\u{eb}\n".as_bytes().to_vec();
    bytes.extend(b"\xff\nAnn\n");
    let found = rows_of(opened(&bytes, &ReadArgs::default()));
    assert_eq!(found[0], row(1, "J\u{fc}rgen"));
    assert!(
        found[2].1.starts_with("! the row is not UTF-8"),
        "{found:?}"
    );
    assert_eq!(found[3], row(4, "Ann"));
}

#[test]
fn a_letter_that_is_cut_for_reading_is_whole() {
    let text = format!("{}\u{fc}\n", "x".repeat(64 * 1024 - 1));
    let list = opened(text.as_bytes(), &ReadArgs::default());
    assert!(list.about.starts_with("UTF-8"), "{}", list.about);
    assert!(rows_of(list)[0].1.ends_with("x\u{fc}"));
}

#[test]
fn a_field_is_what_was_meant_before_a_spreadsheet_saw_it() {
    for (written, meant_as) in [
        ("'+14155550100", "+14155550100"),
        ("'=1+1", "=1+1"),
        ("''=1", "'=1"),
        ("'tis", "'tis"),
        ("=\"0123\"", "0123"),
        ("=cmd", "=cmd"),
        ("=HYPERLINK(\"x\",\"y\")", "=HYPERLINK(\"x\",\"y\")"),
    ] {
        assert_eq!(meant(written.to_owned()), meant_as);
    }
}
