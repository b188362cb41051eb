-- Caller ids and their use, as JSON.  $1 pool or null  $2 number or null.
-- Cost: up to 1,000 dials, or the cap, of each number. Index: dials_by_caller_id.
with n as materialized (select pgdial.now() as now)
select jsonb_build_object(
    'number', k.number, 'pool', k.pool, 'trunk', k.trunk, 'dailyCap', k.daily_cap, 'paused', k.paused,
    'pausedAt', k.paused_at, 'pausedBy', k.paused_by, 'pausedWhy', k.paused_why,
    'restUntil', case when k.rest_until > n.now then k.rest_until end, 'dials', u.used) as caller_id
from n, pgdial.caller_ids k
     cross join lateral (
         select count(*)::int as used
         from (select from n, pgdial.dials d
               where d.from_number = k.number and d.at > n.now - '24 hours'::interval limit greatest(k.daily_cap, 1000)) d) u
where ($1::text is null or k.pool = $1) and ($2::text is null or k.number = $2)
order by k.pool, k.number
