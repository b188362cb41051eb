//! The presets are those of `presets/hours.tsv`, and the strict one is as strict as it says.

use std::collections::BTreeMap;

use crate::support::TestDb;

const READ_IN: &str = "@2026-11";

/// Of a preset and a region ('' for where none of its regions is): its hours, calendar and source.
type Rules = BTreeMap<(String, String), (String, Option<String>, String)>;

/// What the table says, with "as PRESET" replaced by what it stands for.
fn table() -> Rules {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/presets/hours.tsv");
    let file = std::fs::read_to_string(path).unwrap();
    let lines = file.lines().filter(|line| !line.starts_with('#')).skip(1);
    let mut rules = Rules::new();
    for line in lines {
        let cells: Vec<&str> = line
            .split('\t')
            .map(|cell| if cell == "-" { "" } else { cell })
            .collect();
        let [preset, regions, hours, calendar, status, source, _] = cells[..] else {
            panic!("not seven cells: {line}");
        };
        let preset = format!("{preset}{READ_IN}");
        let regions: Vec<&str> = if regions.is_empty() {
            vec![""]
        } else {
            regions.split(' ').collect()
        };
        for region in regions {
            let Some(other) = hours.strip_prefix("as ") else {
                let calendar = (!calendar.is_empty()).then(|| format!("{calendar}{READ_IN}"));
                let rule = (hours.to_owned(), calendar, format!("{source}; {status}"));
                rules.insert((preset.clone(), region.to_owned()), rule);
                continue;
            };
            let (other, part) = other.split_once(' ').unwrap_or((other, ""));
            let other = format!("{other}{READ_IN}");
            let copied: Vec<_> = rules
                .iter()
                .filter(|((name, at), _)| {
                    *name == other && (at == part || part.is_empty() && !region.is_empty())
                })
                .map(|((_, at), rule)| {
                    let at = if at.is_empty() || at == part {
                        region
                    } else {
                        at
                    };
                    ((preset.clone(), at.to_owned()), rule.clone())
                })
                .collect();
            assert!(!copied.is_empty(), "{line}");
            rules.extend(copied);
        }
    }
    rules
}

#[tokio::test]
async fn presets_are_those_of_the_table() {
    let db = TestDb::new().await;
    let rows: Vec<(String, String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "select h.name, '', pgdial.hours_text(h.week), h.calendar, h.source from pgdial.calling_hours h \
         union all \
         select r.hours, r.region, pgdial.hours_text(r.week), r.calendar, r.source from pgdial.calling_hours_regions r",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    let mut table = table();
    // Its hours follow from others: the next test.
    let strict = (format!("us-strict{READ_IN}"), String::new());
    table.get_mut(&strict).unwrap().0 = "mon-fri 10:00-18:00".to_owned();
    let found: Rules = rows
        .into_iter()
        .map(|(name, region, hours, calendar, source)| {
            (
                (name, region),
                (hours, calendar, source.unwrap_or_default()),
            )
        })
        .collect();
    assert_eq!(found, table);
    assert!(
        found
            .values()
            .all(|(_, _, source)| source.split("; ").all(|part| !part.is_empty()))
    );
}

#[tokio::test]
async fn us_strict_is_open_only_where_every_state_is() {
    let db = TestDb::new().await;
    let (outside, days): (i64, i64) = sqlx::query_as(
        "with strict as (select * from pgdial.calling_hours h where h.name = 'us-strict@2026-11'), \
              rule as (select r.week, r.calendar from pgdial.calling_hours_regions r where r.hours = 'us-states@2026-11' \
                       union all select h.week, h.calendar from pgdial.calling_hours h where h.name = 'us-states@2026-11') \
         select (select count(*) from rule r, strict s where not r.week @> s.week), \
                (select count(*) from rule r join pgdial.special_days d on d.calendar = r.calendar cross join strict s \
                 where not exists (select from pgdial.special_days a \
                                   where a.calendar = s.calendar and a.day = d.day and isempty(a.hours)))",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert_eq!((outside, days), (0, 0));
}

#[tokio::test]
async fn each_preset_of_the_us_looks_at_the_number_as_well() {
    let db = TestDb::new().await;
    let others: Vec<String> = sqlx::query_scalar(
        "select h.name from pgdial.calling_hours h \
         where (h.name like 'us-%' or h.name like 'world@%') <> (h.zone_basis = 'given_and_number')",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert_eq!(others, Vec::<String>::new());
}

#[tokio::test]
async fn calendars_have_the_days_on_which_hours_differ() {
    let db = TestDb::new().await;
    let cases = [
        ("Thanksgiving", "us", "2026-11-26", "closed"),
        ("a day like others", "us", "2026-11-27", "-"),
        (
            "the day after it, in some states",
            "us-any",
            "2026-11-27",
            "closed",
        ),
        ("Mardi Gras", "us-la", "2027-02-09", "closed"),
        (
            "Independence Day of a Sunday, on Monday",
            "us-al",
            "2027-07-05",
            "closed",
        ),
        (
            "a prerecorded call on a holiday",
            "us-ne",
            "2026-12-25",
            "13:00-21:00",
        ),
        (
            "Corpus Christi, in some Laender",
            "de-any",
            "2027-05-27",
            "closed",
        ),
        ("but not in all", "de", "2027-05-27", "-"),
        (
            "a holiday of Scotland alone",
            "gb-any",
            "2026-11-30",
            "closed",
        ),
        (
            "the eve of a holiday",
            "it-code",
            "2026-12-24",
            "10:00-19:00",
        ),
        (
            "an eve that is a Sunday, and closed anyway",
            "it-code",
            "2028-12-24",
            "-",
        ),
        (
            "an evening before St Nicholas",
            "nl-code",
            "2028-12-05",
            "09:00-18:30",
        ),
        (
            "the same on a Saturday, which ends before",
            "nl-code",
            "2026-12-05",
            "-",
        ),
    ];
    for (what, calendar, day, hours) in cases {
        let found: Option<String> = sqlx::query_scalar(
            "select pgdial.slots_text(d.hours) from pgdial.special_days d where d.calendar = $1 and d.day = $2::date",
        )
        .bind(format!("{calendar}{READ_IN}"))
        .bind(day)
        .fetch_optional(&db.pool)
        .await
        .unwrap();
        assert_eq!(found.as_deref().unwrap_or("-"), hours, "{what}: {day}");
    }
}
