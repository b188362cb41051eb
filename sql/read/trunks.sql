-- Trunks with what they have in flight, as JSON.  $1 name, or null for all.
select jsonb_build_object(
    'name', t.name, 'slots', t.slots, 'callsPerSecond', t.calls_per_second, 'paused', t.paused,
    'pausedAt', t.paused_at, 'pausedBy', t.paused_by, 'pausedWhy', t.paused_why, 'archivedAt', t.archived_at,
    'lookUp', t.look_up, 'idempotent', t.idempotent, 'reportsWithin', pgdial.iso_8601(t.reports_within),
    'inEffect', jsonb_build_object('lookUp', e.look_up, 'idempotent', e.idempotent, 'reportsWithin', pgdial.iso_8601(e.reports_within)),
    'conflicts', pgdial.trunk_conflicts(t.name),
    'adapter', (select a.declares || jsonb_build_object('name', split_part(a.account, ' ', 1), 'account', a.account,
                                                        'declaredAt', a.declared_at)
                from pgdial.trunk_adapter a where a.trunk = t.name),
    'breakerOpenedAt', (select b.opened_at from pgdial.trunk_breaker b where b.trunk = t.name),
    'inFlight', (select count(*) from pgdial.calls c
                 where c.trunk = t.name and c.state in ('dialing', 'unresolved', 'in_call')),
    'reasons', coalesce(w.reasons, '[]')) as trunk
from pgdial.trunks t cross join lateral pgdial.trunk_terms(t.name) e
     left join (select w.name, jsonb_agg(jsonb_build_object(
                           'reason', w.reason, 'message', w.message, 'object', w.object, 'until', w.until) order by w.ord) as reasons
                from pgdial.why_groups('trunk', $1) w group by w.name) w on w.name = t.name
where $1::text is null or t.name = $1
order by t.name
