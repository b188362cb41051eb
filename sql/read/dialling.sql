-- Whether anything is dialled now, and what keeps it: for each of ten campaigns with due calls, those that are due for
-- longest, what pgdial.why says of its first due call; what keeps each trunk and campaign; doubts; and how many workers
-- claim. As one JSON object.
-- Cost: ten times that of pgdial.why, and that of pgdial.why_groups.
with n as materialized (
    select pgdial.now() as now
), head as materialized (
    select h.campaign, h.priority, h.run_at from pgdial.heads() h
), due as materialized (
    select distinct on (h.campaign) h.campaign, h.priority, h.run_at
    from head h, n where h.run_at <= n.now
    order by h.campaign, h.priority desc
), first as (
    select d.campaign, d.run_at, c.id
    from (select * from due order by run_at, campaign limit 10) d
         cross join lateral (
             select c.id from pgdial.calls c
             where c.state = 'waiting' and c.campaign = d.campaign and c.priority = d.priority and c.run_at >= d.run_at
             order by c.run_at, c.id limit 1) c
)
select jsonb_build_object(
    'now', n.now,
    'workers', (select count(*) from pgdial.live_workers w where not w.draining),
    'dueCampaigns', (select count(*) from due),
    'nextDueAt', (select min(h.run_at) from head h where h.run_at > n.now),
    'first', (select coalesce(jsonb_agg(jsonb_build_object(
                  'campaign', f.campaign, 'call', f.id, 'dueAt', f.run_at,
                  'reasons', (select coalesce(jsonb_agg(jsonb_build_object(
                                  'reason', w.reason, 'message', w.message, 'object', w.object, 'until', w.until) order by w.ord), '[]')
                              from pgdial.why(f.id) w)) order by f.run_at, f.campaign), '[]')
              from first f),
    'groups', (select coalesce(jsonb_agg(jsonb_build_object('kind', g.kind, 'name', g.name, 'reasons', g.reasons)
                                         order by g.kind desc, g.name), '[]')
               from (select w.kind, w.name, jsonb_agg(jsonb_build_object(
                                'reason', w.reason, 'message', w.message, 'object', w.object, 'until', w.until) order by w.ord) as reasons
                     from pgdial.why_groups() w group by w.kind, w.name) g),
    'doubts', (select coalesce(jsonb_agg(jsonb_build_object(
                   'trunk', d.trunk, 'slots', d.slots, 'inDoubt', d.in_doubt, 'advice', d.advice) order by d.trunk), '[]')
               from pgdial.doubts() d)) as dialling
from n
