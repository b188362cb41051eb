-- Whether anything is dialled now, and what keeps it: for each of ten campaigns with due calls, those that are due for
-- longest, what pgdial.why says of its first due call; pauses, doubts and breakers; and how many workers claim. As one
-- JSON object.
-- Cost: ten times that of pgdial.why; and what is in flight.
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
    'pauses', (select coalesce(jsonb_agg(jsonb_build_object(
                   'kind', p.kind, 'name', p.name, 'by', p.paused_by, 'at', p.paused_at, 'why', p.paused_why)
                   order by p.kind desc, p.name), '[]')
               from (select 'trunk' as kind, t.name, t.paused_by, t.paused_at, t.paused_why from pgdial.trunks t where t.paused
                     union all
                     select 'campaign', g.name, g.paused_by, g.paused_at, g.paused_why from pgdial.campaigns g where g.paused
                     order by 1 desc, 2 limit 50) p),
    'breakers', (select coalesce(jsonb_agg(jsonb_build_object(
                     'trunk', b.trunk, 'openedAt', b.opened_at, 'notBefore', b.not_before, 'fault', b.last_fault)
                     order by b.trunk), '[]')
                 from (select b.* from pgdial.trunk_breaker b where b.opened_at is not null order by b.trunk limit 50) b),
    'doubts', (select coalesce(jsonb_agg(jsonb_build_object(
                   'trunk', d.trunk, 'slots', d.slots, 'inDoubt', d.in_doubt, 'advice', d.advice) order by d.trunk), '[]')
               from pgdial.doubts() d)) as dialling
from n
