-- Trunks with what they have in flight, as JSON.  $1 name, or null for all.
select jsonb_build_object(
    'name', t.name, 'slots', t.slots, 'callsPerSecond', t.calls_per_second, 'paused', t.paused,
    'pausedAt', t.paused_at, 'pausedBy', t.paused_by, 'pausedWhy', t.paused_why,
    'lookUp', t.look_up, 'idempotent', t.idempotent, 'reportsWithin', pgdial.iso_8601(t.reports_within),
    'breakerOpenedAt', (select b.opened_at from pgdial.trunk_breaker b where b.trunk = t.name),
    'inFlight', (select count(*) from pgdial.calls c
                 where c.trunk = t.name and c.state in ('dialing', 'unresolved', 'in_call'))) as trunk
from pgdial.trunks t
where $1::text is null or t.name = $1
order by t.name
