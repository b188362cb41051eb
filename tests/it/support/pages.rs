//! How many pages a statement touches: a measure of its work that no busy machine changes.

use sqlx::PgConnection;

/// The pages that a statement touches, its functions included.
pub(crate) async fn pages(session: &mut PgConnection, sql: &str) -> i64 {
    let explain = format!("explain (analyze, buffers, format json) {sql}");
    let (plan,): (serde_json::Value,) = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .fetch_one(session)
        .await
        .unwrap();
    let count = |what: &str| plan[0]["Plan"][what].as_i64().unwrap();
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}
