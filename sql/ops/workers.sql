-- workers: which processes are alive, what can they dial, and what do they hold?
-- A worker is silent if it was not seen for 45 s; its calls are still settled by their webhooks, and its
-- unfinished dials by the sweep.
-- Cost: bounded by the workers of a day and the calls in flight.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

with n as materialized (select pgdial.now() as now)
select w.host, w.pid, w.release,
       case when w.stopping then 'stopping'
            when a.id is null then 'silent'
            when w.draining then 'draining' else 'alive' end as state,
       date_trunc('second', n.now - w.seen_at) as last_seen, date_trunc('second', n.now - w.started_at) as up_for,
       w.permits, array_to_string(w.trunks, ', ') as trunks,
       count(l.id) filter (where l.state = 'dialing') as dialing, count(l.id) as in_flight, w.id
from n
     cross join pgdial.workers w
     left join pgdial.live_workers a on a.id = w.id
     left join pgdial.live_calls l on l.claimed_by = w.id
group by w.id, a.id, n.now
order by w.seen_at desc
limit 500;

commit;
