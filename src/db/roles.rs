//! The owner of the schema, and the rights of the roles of `sql/setup/roles.sql`.

use sqlx::{AssertSqlSafe, PgConnection};

use super::Error;

/// Becomes the role that owns everything for this transaction.
///
/// That is the owner of the schema, or `pgdial_owner` if there is no schema yet and an administrator has
/// prepared the database. Tables of two owners could not be migrated by either. From Postgres 16 on the
/// creator of a role may grant it without being able to act as it: the error has the statement that changes
/// that.
pub(super) async fn become_owner(tx: &mut PgConnection) -> Result<(), Error> {
    let owner: Option<(String, String, bool, bool)> = sqlx::query_as(
        "select r.rolname::text, session_user::text, pg_has_role(session_user, r.oid, 'member'), \
                pg_has_role(session_user, r.oid, \
                            case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) \
         from pg_roles r \
         where r.oid = coalesce( \
             (select n.nspowner from pg_namespace n where n.nspname = 'pgdial'), \
             (select o.oid from pg_roles o where o.rolname = 'pgdial_owner' \
              and has_database_privilege(o.oid, current_database(), 'create')))",
    )
    .fetch_optional(&mut *tx)
    .await?;
    match owner {
        None => Ok(()),
        Some((owner, _, false, _)) => Err(Error::NotOwner { owner }),
        Some((owner, login, true, false)) => Err(Error::MayNotAct { owner, login }),
        Some((owner, _, true, true)) => {
            sqlx::query("select set_config('role', $1, true)")
                .bind(owner)
                .execute(tx)
                .await?;
            Ok(())
        }
    }
}

/// Grants rights to the roles that exist. At each migration, not only when functions change: the roles may
/// have been created later.
pub(super) async fn grant(tx: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("select pgdial.grant_roles()")
        .execute(tx)
        .await?;
    Ok(())
}

/// A right of PUBLIC.
#[derive(Debug)]
pub(super) struct Open {
    /// Object and privilege.
    pub(super) what: String,
    /// Statement that revokes it.
    pub(super) revoke: String,
    /// Whether `migrate` may revoke it.
    pub(super) is_ours: bool,
}

/// Rights of PUBLIC in the schema: none, unless it was restored without its privileges, or they were granted.
pub(super) async fn open_to_public(
    connection: &mut PgConnection,
) -> Result<Vec<Open>, sqlx::Error> {
    let rows: Vec<(String, String, bool)> =
        sqlx::query_as(include_str!("../../sql/read/public_rights.sql"))
            .fetch_all(connection)
            .await?;
    let open = |(what, revoke, is_ours)| Open {
        what,
        revoke,
        is_ours,
    };
    Ok(rows.into_iter().map(open).collect())
}

/// Revokes PUBLIC's rights, at each migration, since a restore may add some. What belongs to another owner,
/// or was granted by another role, stays and is logged.
pub(super) async fn close_to_public(tx: &mut PgConnection) -> Result<(), Error> {
    let open = open_to_public(&mut *tx).await?;
    let ours = open.into_iter().filter(|open| open.is_ours);
    let revokes: Vec<String> = ours.map(|open| open.revoke).collect();
    sqlx::raw_sql(AssertSqlSafe(revokes.join("; ")))
        .execute(&mut *tx)
        .await?;
    for open in open_to_public(tx).await? {
        tracing::warn!(
            open.what,
            open.revoke,
            "open to everybody, and not the schema owner's to close"
        );
    }
    Ok(())
}
