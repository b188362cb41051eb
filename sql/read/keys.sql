-- Keys of the API, as JSON, by name, the newest of each name first; those that ended last, and no key's text.
-- $1 name or null  $2 whether also those that are revoked or expired.
with n as materialized (select pgdial.now() as now)
select jsonb_build_object(
    'name', k.name, 'hint', k.hint, 'scope', k.scope, 'campaigns', k.campaigns, 'numbers', k.numbers,
    'state', case when k.revoked_at is not null then 'revoked' when k.expires_at <= n.now then 'expired' else 'valid' end,
    'createdAt', k.created_at, 'createdBy', k.created_by, 'expiresAt', k.expires_at, 'revokedAt', k.revoked_at,
    'usedAt', k.used_at) as key
from n, pgdial.keys k
where ($1::text is null or k.name = $1)
  and ($2 or k.revoked_at is null and (k.expires_at is null or k.expires_at > n.now))
order by k.name, k.id desc
