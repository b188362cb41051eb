//! The catalog explains itself: what every table, column, view and function is, and which functions are for people.

use std::{collections::BTreeSet, fs, path::Path};

use pgdial::db;

use crate::support::{TestDb, run};

/// Everything of ours that has, or lacks, a comment; without the partitions, which come and go.
const COMMENTED: &str = "\
    select 'function ' || p.oid::regprocedure, p.proname::text, obj_description(p.oid, 'pg_proc') \
    from pg_proc p where p.pronamespace = 'pgdial'::regnamespace \
    union all \
    select case k.relkind when 'v' then 'view ' else 'table ' end || k.relname, k.relname, obj_description(k.oid, 'pg_class') \
    from pg_class k \
    where k.relnamespace = 'pgdial'::regnamespace and k.relkind in ('r', 'p', 'v') and not k.relispartition \
    union all \
    select 'column ' || k.relname || '.' || a.attname, a.attname, col_description(k.oid, a.attnum) \
    from pg_class k join pg_attribute a on a.attrelid = k.oid and a.attnum > 0 and not a.attisdropped \
    where k.relnamespace = 'pgdial'::regnamespace and k.relkind in ('r', 'p', 'v') and not k.relispartition \
    union all \
    select 'type ' || t.typname, t.typname, obj_description(t.oid, 'pg_type') \
    from pg_type t left join pg_class k on k.oid = t.typrelid \
    where t.typnamespace = 'pgdial'::regnamespace and (t.typtype = 'e' or k.relkind = 'c') order by 1";

async fn commented(db: &TestDb) -> Vec<(String, String, Option<String>)> {
    sqlx::query_as(COMMENTED).fetch_all(&db.pool).await.unwrap()
}

/// Whether the comment says more than the name.
fn says_something(name: &str, comment: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        text.to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !["", "a", "an", "and", "internal", "its", "of", "the"].contains(word))
            .map(ToOwned::to_owned)
            .collect()
    };
    !words(comment).is_subset(&words(name))
}

#[tokio::test]
async fn everything_in_the_schema_has_a_comment_that_says_something() {
    let db = TestDb::new().await;
    let all = commented(&db).await;
    assert!(all.len() > 700, "{}", all.len());
    let silent: Vec<String> = all
        .iter()
        .filter(|(_, name, comment)| !says_something(name, comment.as_deref().unwrap_or_default()))
        .map(|(object, _, comment)| format!("{object}: {comment:?}"))
        .collect();
    assert_eq!(silent, [""; 0]);
}

#[test]
fn a_comment_that_repeats_the_name_says_nothing() {
    for comment in ["", "the id", "Its id.", "internal: id"] {
        assert!(!says_something("id", comment), "{comment}");
    }
    assert!(!says_something("created_at", "created at"));
    assert!(says_something("id", "UUIDv7: sorts by creation"));
}

/// The examples in the comments of the public verbs.
async fn examples(db: &TestDb) -> Vec<(String, String)> {
    let verbs: Vec<(String, String)> = sqlx::query_as("select name, about from pgdial.verbs")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    let examples = verbs.iter().flat_map(|(name, about)| {
        let shown = about.lines().filter(|line| line.starts_with("  select "));
        shown.map(|line| (name.clone(), line.trim().to_owned()))
    });
    examples.collect()
}

#[tokio::test]
async fn every_public_verb_has_an_example_and_the_worker_can_run_it() {
    let db = TestDb::new().await;
    let shown = examples(&db).await;
    let named: BTreeSet<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
    let verbs = "select string_agg(distinct name, ' ' order by name) from pgdial.verbs";
    let verbs = db.text(verbs).await;
    assert_eq!(named.into_iter().collect::<Vec<_>>().join(" "), verbs);
    let mut session = db.session_as("dialer").await;
    for (name, example) in &shown {
        run(&mut session, "begin").await.unwrap();
        let ran = run(&mut session, example).await;
        assert!(ran.is_ok(), "{name}: {example}: {ran:?}");
        run(&mut session, "rollback").await.unwrap();
    }
}

#[tokio::test]
async fn the_verbs_that_the_documents_show_are_public() {
    let db = TestDb::new().await;
    let public: Vec<(String,)> = sqlx::query_as("select distinct name from pgdial.verbs")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "README.md",
        "docs/CALLING.md",
        "docs/CALLS.md",
        "docs/OPERATIONS.md",
        "docs/MIGRATING.md",
    ] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for shown in text.split("pgdial.").skip(1) {
            let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
            let name: String = shown.chars().take_while(|c| is_part(*c)).collect();
            if shown[name.len()..].starts_with('(') {
                assert!(public.contains(&(name.clone(),)), "{file}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_comment_that_somebody_changed_is_no_drift_and_comes_back_with_the_functions() {
    let db = TestDb::new().await;
    let before = commented(&db).await;
    db.sql("comment on column pgdial.calls.phone is 'mine'; comment on view pgdial.live_calls is null; \
            comment on function pgdial.why(uuid) is 'mine'")
        .await;
    assert_eq!(
        db::migrate(&db.pool).await.unwrap(),
        db::Migrated::default()
    );
    assert_ne!(commented(&db).await, before);
    assert!(db::migrate_again(&db.pool).await.unwrap().functions);
    assert_eq!(commented(&db).await, before);
}
