//! Who owns the schema, and what the roles of `sql/setup/roles.sql` may do with it.

use sqlx::PgConnection;

use super::Error;

/// For this transaction, the role that everything belongs to, whichever of its members
/// asks: the owner of the schema, or `pgdial_owner` where there is no schema yet and an
/// administrator has prepared the database. Tables of two owners could never be
/// migrated again by either.
pub(super) async fn become_owner(tx: &mut PgConnection) -> Result<(), Error> {
    let owner: Option<(String, bool)> = sqlx::query_as(
        "select r.rolname::text, pg_has_role(session_user, r.oid, 'member') from pg_roles r \
         where r.oid = coalesce( \
             (select n.nspowner from pg_namespace n where n.nspname = 'pgdial'), \
             (select o.oid from pg_roles o where o.rolname = 'pgdial_owner' \
              and has_database_privilege(o.oid, current_database(), 'create')))",
    )
    .fetch_optional(&mut *tx)
    .await?;
    match owner {
        None => Ok(()),
        Some((owner, false)) => Err(Error::NotOwner { owner }),
        Some((owner, true)) => {
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
