-- overview: how far is each campaign, and may it dial now?
-- One row per campaign: what it has in flight and room for; whether it may dial, or the reason why not
-- (no_worker: it may, but no worker is there to do it); what waits (counted in full); and how its calls ended
-- since ended_since: those of the last 24 hours, at most the latest 50,000 of all campaigns.
-- Cost: an index entry for each waiting call, and 50,000 finished calls.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select p.campaign, p.trunk, p.in_flight, p.room, coalesce(p.reason, case when w.n = 0 then 'no_worker' else 'open' end) as dialing,
       p.waiting, p.due, date_trunc('second', (select pgdial.now()) - p.oldest_due_at) as oldest_due_for,
       p.completed, p.failed, p.ended_otherwise,
       round(100.0 * p.completed / nullif(p.completed + p.failed, 0), 1) as completed_percent,
       date_trunc('second', p.since) as ended_since
from pgdial.campaign_progress p
     cross join lateral (
         select count(*) as n from pgdial.live_workers w where p.trunk = any (w.trunks) and not w.draining) w
order by p.waiting desc, p.campaign
limit 500;

commit;
