-- The queue in numbers: calls by state, slots, campaigns, workers, the inbox.
select jsonb_build_object(
    'now', n.now,
    'calls', (select jsonb_object_agg(s.state, coalesce(k.calls, 0))
              from unnest(enum_range(null::pgdial.call_state)) s (state)
                   left join (select c.state, count(*) as calls from pgdial.calls c group by c.state) k using (state)),
    'oldestDueAt', (select min(c.run_at) from pgdial.calls c where c.state = 'waiting' and c.run_at <= n.now),
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
    'workers', (select count(*) from pgdial.workers w
                where not w.stopping and w.seen_at > n.now - '45 seconds'::interval),
    'webhooksParked', (select count(*) from pgdial.webhook_events w where w.verdict = 'parked')) as stats
from (select pgdial.now() as now) n
