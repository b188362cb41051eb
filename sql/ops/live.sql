-- live: which calls hold a slot now, oldest first?
-- One row per call in flight: how old it is, its state, until when at the latest, and which worker dialled it.
-- At most the 5,000 oldest.
-- Cost: bounded by the slots of all trunks; reads an index of the calls in flight.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select l.id, left(l.phone, 4) || repeat('*', length(l.phone) - 6) || right(l.phone, 2) as number,
       l.campaign, l.trunk, l.state, date_trunc('second', l.age) as age,
       l.answered_at is not null as answered, l.cancel_requested_at is not null as cancel_wished,
       l.attempt, l.deadline_at, l.provider_call_id, w.host as worker_host, w.pid as worker_pid
from pgdial.live_calls l
     left join pgdial.workers w on w.id = l.claimed_by
order by l.claimed_at
limit 5000;

commit;
