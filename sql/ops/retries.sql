-- retries: what waits for another attempt, and when is it due?
-- One row per campaign, latest outcome and number of attempts made.
-- Cost: reads every waiting call once.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

with n as materialized (select pgdial.now() as now)
select c.campaign, coalesce(c.outcome::text, 'none') as latest_outcome, c.attempt as attempts_made,
       count(*) as calls,
       count(*) filter (where c.run_at <= n.now) as due,
       count(*) filter (where c.hold_until > n.now) as held,
       min(c.run_at) as first_due_at, max(c.run_at) as last_due_at, max(c.deferrals) as most_deferrals
from n, pgdial.calls c
where c.state = 'waiting' and (c.attempt > 0 or c.deferrals > 0)
group by c.campaign, c.outcome, c.attempt
order by c.campaign, calls desc, c.attempt
limit 500;

commit;
