-- The queue in numbers: calls by state, slots, campaigns, workers, the inbox. Bounded however long the history
-- is: estimated lists the states whose count comes from Postgres's statistics (pgdial.calls_by_state).
select jsonb_build_object(
    'now', n.now,
    'calls', s.calls,
    'estimated', s.estimated,
    'oldestDueAt', (select min(h.run_at) from pgdial.heads() h where h.run_at <= n.now),
    'trunks', (select jsonb_agg(jsonb_build_object(
                    'name', t.name, 'slots', t.slots, 'callsPerSecond', t.calls_per_second, 'paused', t.paused,
                    'pausedWhy', t.paused_why,
                    'breakerOpenedAt', (select b.opened_at from pgdial.trunk_breaker b where b.trunk = t.name),
                    'inFlight', (select count(*) from pgdial.calls c
                                 where c.trunk = t.name and c.state in ('dialing', 'unresolved', 'in_call')))
                    order by t.name)
               from pgdial.trunks t),
    'campaigns', (select jsonb_agg(jsonb_build_object(
                    'name', l.campaign, 'trunk', l.trunk, 'inFlight', l.in_flight, 'room', l.room, 'reason', l.reason)
                    order by l.campaign)
                  from pgdial.lanes(null, n.now) l),
    'workers', (select count(*) from pgdial.live_workers w where not w.draining),
    'webhooksParked',
        (select count(*) from pgdial.webhook_events w where w.verdict = 'parked' and w.call_id is not null)
        + (select count(*) from pgdial.webhook_events w where w.verdict = 'parked' and w.call_id is null)) as stats
from (select pgdial.now() as now) n,
     (select jsonb_object_agg(b.state, b.calls) as calls,
             coalesce(jsonb_agg(b.state order by b.state) filter (where b.is_estimated), '[]') as estimated
      from pgdial.calls_by_state b) s
