-- What a process needs in order to know a key when it sees one: those in use, and the latest 200 that are not, so that
-- whoever still uses one is told why it is refused.
-- expires_ms, used_ms: from now on, and ago; a process has no clock to compare instants with.
-- Cost: a row for each key that there ever was, some hundreds.
with n as materialized (select pgdial.now() as now)
select k.id, k.name, k.hash, k.scope, k.campaigns, k.numbers, k.revoked_at is not null as revoked,
       (extract(epoch from k.expires_at - n.now) * 1000)::bigint as expires_ms,
       (extract(epoch from n.now - k.used_at) * 1000)::bigint as used_ms
from n, pgdial.keys k
where k.revoked_at is null and (k.expires_at is null or k.expires_at > n.now)
   or k.id in (select o.id from pgdial.keys o where o.revoked_at is not null or o.expires_at <= n.now
               order by greatest(o.revoked_at, o.expires_at) desc limit 200)
