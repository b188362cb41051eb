//! A number is placed where libphonenumber places it, or in more places: never in fewer, which would open too early.

use crate::support::TestDb;

/// A number, and the zones and the region of the library; empty where it calls the number invalid.
type Cases = (Vec<String>, Vec<String>, Vec<String>);

/// The committed cases; `scripts/phone-areas compare` uses others.
fn cases() -> Cases {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/phone_areas.tsv");
    let path = std::env::var_os("PHONE_AREAS").unwrap_or_else(|| committed.into());
    let file = std::fs::read_to_string(path).unwrap();
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let mut cases = Cases::default();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        let [phone, zones, region] = cells[..] else {
            panic!("not three cells: {line}");
        };
        cases.0.push(phone.to_owned());
        cases.1.push(zones.to_owned());
        cases.2.push(region.to_owned());
    }
    cases
}

#[tokio::test]
async fn no_number_has_fewer_zones_or_regions_than_the_library_says() {
    let db = TestDb::new().await;
    let (phones, zones, regions) = cases();
    // The part of a country stands for the country.
    let sql = "select c.phone, coalesce(a.zones, '{}'), coalesce(a.regions, '{}'), \
                      string_to_array(c.zones, ' ') <@ coalesce(a.zones, '{}') \
                      and (c.region = '' or exists (select from unnest(a.regions) r where r = c.region or r like c.region || '-%')), \
                      string_to_array(c.zones, ' ') = coalesce(a.zones, '{}') \
               from unnest($1::text[], $2::text[], $3::text[]) c (phone, zones, region) \
               left join pgdial.areas a on a.id = pgdial.phone_area(c.phone)";
    let rows: Vec<(String, Vec<String>, Vec<String>, bool, bool)> = sqlx::query_as(sql)
        .bind(&phones)
        .bind(&zones)
        .bind(&regions)
        .fetch_all(&db.pool)
        .await
        .unwrap();
    assert_eq!(rows.len(), phones.len());
    let narrower: Vec<_> = rows.iter().filter(|row| !row.3).take(20).collect();
    assert!(narrower.is_empty(), "{narrower:#?}");
    let placed = zones.iter().filter(|zones| !zones.is_empty()).count();
    let exact = rows.iter().filter(|row| row.4 && !row.1.is_empty()).count();
    println!(
        "{} numbers, {placed} placed by the library, {exact} exactly so",
        rows.len()
    );
    // A table that says "anywhere" of every number contains the truth as well.
    assert!(exact * 100 >= placed * 95, "{exact} of {placed}");
}

#[tokio::test]
async fn types_and_shared_codes_widen_a_place() {
    let db = TestDb::new().await;
    let cases: &[(&str, &str, usize, &str)] = &[
        ("a landline of Florida", "+13055550100", 1, "US-FL"),
        ("of a territory", "+17875550100", 1, "US-PR"),
        ("of a shared area code", "+19025550100", 1, "CA-NS CA-PE"),
        ("toll-free", "+18005550100", 42, "CA US"),
        (
            "an area code that is not in use",
            "+12115550100",
            42,
            "CA US",
        ),
        ("a mobile of Australia", "+61412345678", 8, "AU"),
        ("of Russia", "+79161234567", 16, "RU"),
        ("of Indonesia", "+6281234567890", 3, "ID"),
        ("a landline of Jakarta", "+62211234567", 1, "ID"),
        ("a number of no country", "+80012345678", 0, ""),
        ("a code that is not in use", "+2101234567", 0, ""),
    ];
    for &(what, phone, zones, regions) in cases {
        let found: Option<(i32, String)> = sqlx::query_as(
            "select cardinality(a.zones), array_to_string(a.regions, ' ') from pgdial.areas a where a.id = pgdial.phone_area($1)",
        )
        .bind(phone)
        .fetch_optional(&db.pool)
        .await
        .unwrap();
        let found = found.unwrap_or_default();
        assert_eq!(
            found,
            (i32::try_from(zones).unwrap(), regions.to_owned()),
            "{what}"
        );
    }
}

#[tokio::test]
async fn the_server_knows_every_zone() {
    let db = TestDb::new().await;
    let unknown: Vec<String> = sqlx::query_scalar(
        "select distinct z from pgdial.areas a, unnest(a.zones) z where z not in (select n.name from pg_timezone_names n)",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert_eq!(unknown, Vec::<String>::new());
}
