//! Keys of the API that will soon fail, and those that nobody needs.

use serde::Deserialize;
use sqlx::PgConnection;

use super::{Check, Looked, rows};

#[derive(Deserialize)]
struct Found {
    name: String,
    what: String,
    is_ending: bool,
}

/// Looks at the newest key of each name: those before it are meant to end.
pub(super) async fn look(connection: &mut PgConnection) -> Looked {
    let found: Vec<Found> = rows(
        &mut *connection,
        "with n as materialized (select pgdial.now() as now), \
              k as (select distinct on (k.name) k.* from n, pgdial.keys k \
                    where pgdial.is_valid_key(k, n.now) order by k.name, k.id desc) \
         select k.name, true as is_ending, \
                format('the key %s expires at %s', k.name, pgdial.in_utc(k.expires_at)) as what \
         from n, k where k.expires_at < n.now + '14 days'::interval \
         union all \
         select k.name, false, \
                format('nobody has used the key %s %s', k.name, \
                       case when k.used_at is null then 'since it was created, 90 days ago or more' else 'for 90 days' end) \
         from n, k where greatest(k.used_at, k.created_at) < n.now - '90 days'::interval \
         order by 1, 2",
    )
    .await?;
    let told = |Found {
                    name,
                    what,
                    is_ending,
                }: Found| {
        let repair = if is_ending {
            format!("`pgdial keys rotate {name}`, and give the new key to whoever uses it")
        } else {
            format!("`pgdial keys revoke {name}`, unless somebody needs it")
        };
        Check::warn("keys", what, repair)
    };
    Ok(found.into_iter().map(told).collect())
}
