-- trunks: may each provider account dial now, and if not, why?
-- One row for each trunk: slots in use, pace, pause switch, and its breaker: since when
-- its provider fails, the last fault, and when a call may try again.
-- Cost: bounded by the calls in flight.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select t.name as trunk,
       (select count(*) from pgdial.calls c
        where c.trunk = t.name and c.state in ('dialing', 'unresolved', 'in_call')) as in_flight,
       t.slots, t.calls_per_second, t.look_up, t.idempotent,
       case when t.paused then 'paused by ' || t.paused_by || ': ' || coalesce(t.paused_why, 'no reason given')
            when b.opened_at is not null then 'its provider fails'
            when b.not_before > n.now then 'its provider has no room'
            else 'open' end as dialing,
       b.faults as faults_in_a_row, b.last_fault, b.opened_at as failing_since,
       greatest(b.not_before - n.now, '0') as tries_again_in
from pgdial.trunks t
     left join pgdial.trunk_breaker b on b.trunk = t.name,
     (select pgdial.now() as now) n
order by t.name
limit 500;

commit;
