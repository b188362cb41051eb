-- failures: which calls ended as failed, and with what error?
-- (Calls that wait for another attempt are in `retries`, a provider's faults in `trunks`.)
-- One row per campaign, outcome and last error: how many, the latest, and one call to look at (pgdial calls
-- show ID). Covers the calls that ended in the last 24 hours, at most the latest 50,000 overall: counted_since
-- says how far back that goes.
-- Cost: 50,000 calls, by the index of ended_at.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select e.campaign, e.outcome, pgdial.masked(left(e.last_error, 120)) as last_error, count(*) as calls,
       date_trunc('second', max(e.ended_at)) as latest, (array_agg(e.id order by e.ended_at desc))[1] as latest_call,
       date_trunc('second', min(e.since)) as counted_since
from (select l.*, min(l.ended_at) over () as since from pgdial.latest_ended l) e
where e.state = 'failed'
group by e.campaign, e.outcome, left(e.last_error, 120)
order by calls desc, latest desc
limit 100;

commit;
