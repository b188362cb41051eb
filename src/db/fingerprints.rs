//! Our objects in the catalog, and their expected definitions.

use std::collections::BTreeMap;

use sqlx::PgConnection;

/// Kind and name, with the statement or fact that defines it.
pub(super) type Fingerprints = BTreeMap<(String, String), String>;

/// Present objects. Empty if there is no schema yet.
pub(super) async fn there(connection: &mut PgConnection) -> Result<Fingerprints, sqlx::Error> {
    // The server prints names depending on the search path, and texts depending on the session.
    sqlx::raw_sql("set local search_path = pg_catalog; set local standard_conforming_strings = on")
        .execute(&mut *connection)
        .await?;
    let rows: Vec<(String, String, String)> =
        sqlx::query_as(include_str!("../../sql/read/fingerprints.sql"))
            .fetch_all(connection)
            .await?;
    let named = rows.into_iter();
    Ok(named
        .map(|(kind, name, made)| ((kind, name), made))
        .collect())
}

/// Objects as the last migration left them, and the server's major version at that time.
pub(super) async fn expected(
    connection: &mut PgConnection,
) -> Result<(Fingerprints, Option<i32>), sqlx::Error> {
    let rows: Vec<(String, String, String, i32)> =
        sqlx::query_as("select e.kind, e.name, e.definition, e.server from pgdial.expected e")
            .fetch_all(connection)
            .await?;
    let server = rows.first().map(|row| row.3);
    let named = rows.into_iter();
    let named = named.map(|(kind, name, made, _)| ((kind, name), made));
    Ok((named.collect(), server))
}

/// The server's major version.
pub(super) async fn major(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let (major,) = sqlx::query_as("select current_setting('server_version_num')::int / 10000")
        .fetch_one(connection)
        .await?;
    Ok(major)
}

/// Records what a migration changed, and only that: earlier manual changes remain differences. A new major
/// version prints definitions differently, so all are recorded anew.
pub(super) async fn keep(
    connection: &mut PgConnection,
    before: &Fingerprints,
) -> Result<(), sqlx::Error> {
    let major = major(connection).await?;
    let (expected, server) = expected(connection).await?;
    let now = there(connection).await?;
    let is_new = server.is_some_and(|server| server != major);
    let changed = now
        .iter()
        .filter(|(what, made)| is_new || before.get(what) != Some(made));
    let gone = expected
        .keys()
        .filter(|what| !now.contains_key(what) && (is_new || before.contains_key(what)));
    let gone: Vec<_> = gone.collect();
    sqlx::query(
        "delete from pgdial.expected e using unnest($1::text[], $2::text[]) as g (kind, name) \
         where e.kind = g.kind and e.name = g.name",
    )
    .bind(gone.iter().map(|what| what.0.as_str()).collect::<Vec<_>>())
    .bind(gone.iter().map(|what| what.1.as_str()).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    let changed: Vec<_> = changed.collect();
    sqlx::query(
        "insert into pgdial.expected (kind, name, definition, server) \
         select c.kind, c.name, c.definition, $4 from unnest($1::text[], $2::text[], $3::text[]) as c (kind, name, definition) \
         on conflict (kind, name) do update set definition = excluded.definition, server = excluded.server",
    )
    .bind(changed.iter().map(|(what, _)| what.0.as_str()).collect::<Vec<_>>())
    .bind(changed.iter().map(|(what, _)| what.1.as_str()).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, made)| made.as_str()).collect::<Vec<_>>())
    .bind(major)
    .execute(connection)
    .await?;
    Ok(())
}
