//! Pages touched by a statement: a measure of its work that does not depend on how busy the machine is.

use sqlx::PgConnection;

/// Pages touched by a statement, functions included.
pub(crate) async fn pages(session: &mut PgConnection, sql: &str) -> i64 {
    let explain = format!("explain (analyze, buffers, format json) {sql}");
    let (plan,): (serde_json::Value,) = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .fetch_one(session)
        .await
        .unwrap();
    let count = |what: &str| plan[0]["Plan"][what].as_i64().unwrap();
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}
