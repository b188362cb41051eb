-- queue: how deep is the queue of each campaign, and how old?
-- One row per campaign and priority with waiting calls, in the order in which a campaign dials them: how many
-- are due, how long the oldest of them has waited, how many come later, and when the next of those falls due.
-- Cost: an index entry for each waiting call.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

with n as materialized (select pgdial.now() as now)
select c.campaign, c.priority, count(*) as waiting,
       count(*) filter (where c.run_at <= n.now) as due,
       date_trunc('second', n.now - min(c.run_at) filter (where c.run_at <= n.now)) as oldest_due_for,
       count(*) filter (where c.run_at > n.now) as later,
       date_trunc('second', min(c.run_at) filter (where c.run_at > n.now)) as next_due_at
from n, pgdial.calls c
where c.state = 'waiting'
group by c.campaign, c.priority, n.now
order by c.campaign, c.priority desc
limit 500;

commit;
