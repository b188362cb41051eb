//! Who owns the schema, and what the roles of `sql/setup/roles.sql` may do with it.

use sqlx::{AssertSqlSafe, PgConnection};

use super::Error;

/// For this transaction, the role that everything belongs to, whichever of its members
/// asks: the owner of the schema, or `pgdial_owner` where there is no schema yet and an
/// administrator has prepared the database. Tables of two owners could never be
/// migrated again by either.
///
/// From Postgres 16 on whoever made a role may give it to others without acting as it: a member
/// of another kind, who is told the line that changes that.
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

/// What the roles may do, where they exist. At each migration, not only when functions
/// change: the roles may have come after them.
pub(super) async fn grant(tx: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("select pgdial.grant_roles()")
        .execute(tx)
        .await?;
    Ok(())
}

/// A right that everybody has.
#[derive(Debug)]
pub(super) struct Open {
    /// On what, and which.
    pub(super) what: String,
    /// The statement that takes it back.
    pub(super) revoke: String,
    /// `migrate` may take it back.
    pub(super) is_ours: bool,
}

/// What everybody may do in the schema: nothing, unless it was restored without its access
/// privileges, or somebody gave it.
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

/// Takes from PUBLIC what it may do. At each migration: a restore opens what no release has. What is
/// another owner's, or was given by another than the owner, stays and is said.
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
