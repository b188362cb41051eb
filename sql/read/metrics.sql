-- What /metrics shows of the queue, as one JSON object.
-- $1 maximum waiting calls counted; beyond, `truncated` says that the counts are a lower bound. $2 how many
-- campaigns have a line of their own; the rest share `(others)`.
-- A call outside its calling hours is not due: closed counts it.
-- ended: calls that ended in the last ten minutes, at most the newest 20,000, by calls_ended.
-- Cost: else live rows only, nothing of the history: waiting calls by calls_claimable_by_area, calls in flight by
-- calls_in_flight, parked events by webhook_events_parked and webhook_events_unknown, at most 10,000 deliveries of each
-- endpoint by deliveries_unfinished; the rest is configuration.
-- Run it with enable_seqscan off: with many waiting calls the planner would rather scan the whole table.
with n as materialized (
    select pgdial.now() as now
), counted as materialized (
    select c.campaign, c.area, c.run_at
    from pgdial.calls c
    where c.state = 'waiting'
    order by c.campaign, c.priority desc, c.area, c.run_at, c.id
    limit $1 + 1
), hours as materialized (
    select h.name, h.basis, pgdial.open_areas(h.name, h.basis, n.now, n.now) as areas
    from n, (select distinct g.calling_hours, g.zone_basis from pgdial.campaigns g where g.calling_hours is not null) h (name, basis)
), place as materialized (
    select w.campaign, count(*) as calls, count(*) filter (where w.run_at <= n.now) as due, min(w.run_at) as first,
           coalesce(w.area = any (h.areas), g.calling_hours is null) as is_open
    from n, counted w left join pgdial.campaigns g on g.name = w.campaign
         left join hours h on h.name = g.calling_hours and h.basis is not distinct from g.zone_basis
    group by w.campaign, w.area, is_open
), waiting as materialized (
    select p.campaign, sum(p.calls) as calls, coalesce(sum(p.due) filter (where p.is_open), 0) as due,
           coalesce(sum(p.due) filter (where not p.is_open), 0) as closed,
           extract(epoch from max(n.now - p.first) filter (where p.is_open and p.first <= n.now)) as oldest
    from place p cross join n
    group by p.campaign
), shown as materialized (
    select g.name from pgdial.campaigns g left join waiting w on w.campaign = g.name
    where g.archived_at is null or w.calls > 0
    order by w.calls desc nulls last, g.name
    limit $2
), queued as (
    select coalesce(s.name, '(others)') as campaign, coalesce(g.trunk, '') as trunk,
           sum(w.calls) as calls, sum(w.due) as due, sum(w.closed) as closed, max(w.oldest) as oldest
    from waiting w left join shown s on s.name = w.campaign left join pgdial.campaigns g on g.name = w.campaign
    group by 1, 2
), flying as materialized (
    select c.trunk, c.campaign, c.state, count(*) as calls, count(*) filter (where c.deadline_at < n.now) as stuck
    from pgdial.calls c cross join n
    where c.state in ('dialing', 'unresolved', 'in_call')
    group by c.trunk, c.campaign, c.state
), ended as materialized (
    select coalesce(s.name, '(others)') as campaign, coalesce(e.trunk, '') as trunk, coalesce(e.outcome::text, e.state::text) as outcome,
           count(*) as calls
    from (select c.campaign, c.trunk, c.outcome, c.state from n, pgdial.calls c
          where c.ended_at > n.now - '10 minutes'::interval order by c.ended_at desc limit 20000) e
         left join shown s on s.name = e.campaign
    group by 1, 2, 3
), alive as materialized (
    select w.trunks from pgdial.live_workers w where not w.draining
)
select jsonb_build_object(
    'truncated', (select count(*) > $1 from counted),
    'waiting', (select coalesce(jsonb_agg(jsonb_build_object(
                    'campaign', q.campaign, 'trunk', q.trunk, 'calls', q.calls, 'due', q.due, 'closed', q.closed, 'oldestDueSec', q.oldest)), '[]')
                from queued q),
    'inFlight', (select coalesce(jsonb_agg(jsonb_build_object(
                    'campaign', f.campaign, 'state', f.state, 'calls', f.calls)), '[]')
                 from (select coalesce(s.name, '(others)') as campaign, f.state, sum(f.calls) as calls
                       from flying f left join shown s on s.name = f.campaign group by 1, 2) f),
    'ended', (select coalesce(jsonb_agg(to_jsonb(e)), '[]') from ended e),
    'trunks', (select coalesce(jsonb_agg(jsonb_build_object(
                    'name', t.name, 'slots', t.slots, 'paused', t.paused,
                    'held', coalesce(t.held_until > n.now, false),
                    'breakerOpen', exists (select from pgdial.trunk_breaker b
                                           where b.trunk = t.name and b.opened_at is not null),
                    'inFlight', (select coalesce(sum(f.calls), 0) from flying f where f.trunk = t.name),
                    'inDoubt', (select coalesce(sum(f.calls), 0) from flying f where f.trunk = t.name and f.state = 'unresolved'),
                    'stuck', (select coalesce(sum(f.stuck), 0) from flying f where f.trunk = t.name),
                    'workers', (select count(*) from alive a where t.name = any (a.trunks)))), '[]')
               from pgdial.trunks t cross join n),
    'campaigns', (select coalesce(jsonb_agg(jsonb_build_object(
                    'name', l.campaign, 'trunk', g.trunk, 'paused', g.paused, 'cap', g.cap, 'reason', l.reason)), '[]')
                  from n cross join lateral pgdial.lanes(null, n.now) l
                       join shown s on s.name = l.campaign
                       join pgdial.campaigns g on g.name = l.campaign),
    'pausedItself', jsonb_build_object(
                    'trunk', (select count(*) from pgdial.trunks t where t.paused and t.paused_by = 'pgdial'),
                    'campaign', (select count(*) from pgdial.campaigns g where g.paused and g.paused_by = 'pgdial'),
                    'endpoint', (select count(*) from pgdial.endpoints e where e.paused and e.paused_by = 'pgdial')),
    'endpoints', (select coalesce(jsonb_agg(jsonb_build_object(
                    'name', e.name, 'paused', e.paused, 'unfinished', p.unfinished,
                    'lagSec', coalesce(extract(epoch from n.now - pgdial.undelivered_since(e.id)), 0),
                    'failingSec', coalesce(extract(epoch from n.now - p.failing_since), 0))), '[]')
                  from n cross join pgdial.endpoints e join pgdial.endpoint_progress p on p.endpoint = e.id),
    'workers', (select count(*) from alive),
    'parked', (select jsonb_build_object(
                    'events', count(w.received_at), 'oldestSec', coalesce(extract(epoch from n.now - min(w.received_at)), 0))
               from n left join (
                    select e.received_at from pgdial.webhook_events e where e.verdict = 'parked' and e.call_id is not null
                    union all
                    select e.received_at from pgdial.webhook_events e where e.verdict = 'parked' and e.call_id is null) w on true
               group by n.now),
    'housekeeping', (select coalesce(jsonb_agg(jsonb_build_object(
                         'step', h.step, 'failures', h.failures, 'doneSec', extract(epoch from n.now - h.done_at))), '[]')
                     from pgdial.housekeeping_steps h cross join n)) as metrics
