-- What is going on now, as one JSON object for a screen that refreshes every second. Calls in flight (the 200
-- oldest, and the total), campaigns with their waiting calls (each counted up to 10,000, and all up to 100,000; the
-- first 100 campaigns, those with something to do first), trunks with their slots.
-- Cost: bounded by what is in flight and by 100,000 index entries (calls_claimable); no finished call is visited.
with n as materialized (
    select pgdial.now() as now
), flying as materialized (
    select c.id, c.phone, c.campaign, c.trunk, c.state, c.claimed_at, c.deadline_at, c.answered_at, c.claimed_by
    from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call')
), counted as materialized (
    select least(10000, 100000 / greatest(count(*), 1)) as most from pgdial.campaigns
), campaign as materialized (     -- or each count would be made twice, to sort by and to show
    select g.name, g.trunk, g.cap, g.paused, g.paused_why, g.calling_hours, coalesce(l.in_flight, 0) as in_flight, l.room, l.reason,
           (select count(*) from (select from pgdial.calls c
                                  where c.state = 'waiting' and c.campaign = g.name
                                  limit (select k.most + 1 from counted k)) w) as waiting
    from pgdial.campaigns g left join pgdial.lanes(null, (select n.now from n)) l on l.campaign = g.name
    where g.archived_at is null
)
select jsonb_build_object(
    'now', n.now,
    'inFlight', (select count(*) from flying),
    'inDoubt', (select count(*) from flying f where f.state = 'unresolved'),
    'counted', (select k.most from counted k),
    'live', (select coalesce(jsonb_agg(jsonb_build_object(
                'id', f.id, 'to', f.phone, 'campaign', f.campaign, 'trunk', f.trunk, 'state', f.state,
                'claimedAt', f.claimed_at, 'deadlineAt', f.deadline_at, 'answeredAt', f.answered_at,
                'worker', w.host || ':' || w.pid) order by f.claimed_at, f.id), '[]')
             from (select * from flying order by claimed_at, id limit 200) f
                  left join pgdial.workers w on w.id = f.claimed_by),
    'campaigns', (select coalesce(jsonb_agg(jsonb_build_object(
                    'name', g.name, 'trunk', g.trunk, 'cap', g.cap, 'paused', g.paused, 'pausedWhy', g.paused_why,
                    'callingHours', g.calling_hours, 'inFlight', g.in_flight, 'room', g.room, 'reason', g.reason, 'waiting', g.waiting)
                    order by g.name), '[]')
                  from (select * from campaign
                        order by in_flight = 0 and waiting = 0 and not paused, name limit 100) g),
    'trunks', (select coalesce(jsonb_agg(jsonb_build_object(
                'name', t.name, 'slots', t.slots, 'paused', t.paused, 'pausedWhy', t.paused_why,
                'breakerOpenedAt', (select b.opened_at from pgdial.trunk_breaker b where b.trunk = t.name),
                'inFlight', (select count(*) from flying f where f.trunk = t.name)) order by t.name), '[]')
               from pgdial.trunks t)) as board
from n
