-- trunks: may each provider account dial now, and if not, why?
-- One row per trunk: slots in use, pace, what is in effect of what people said and its adapter declares, pause switch, live workers, and its breaker: since when its provider
-- fails, the last fault, and when a call may try again; how many slots dials in doubt hold, and if more than a
-- third, what would avoid that.
-- Cost: bounded by the calls in flight.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select t.name as trunk,
       (select count(*) from pgdial.calls c
        where c.trunk = t.name and c.state in ('dialing', 'unresolved', 'in_call')) as in_flight,
       t.slots, t.calls_per_second, split_part(a.account, ' ', 1) as adapter, e.look_up, e.idempotent, e.reports_within,
       case when t.paused then 'paused by ' || t.paused_by || ': ' || coalesce(t.paused_why, 'no reason given')
            when b.opened_at is not null then 'its provider fails'
            when b.not_before > n.now then 'its provider has no room'
            when w.n = 0 then 'no live worker can dial on it'
            else 'open' end as dialing,
       w.n as workers,
       b.faults as faults_in_a_row, b.last_fault, b.opened_at as failing_since,
       case when b.not_before > n.now then date_trunc('second', b.not_before - n.now) end as tries_again_in,
       (select count(*) from pgdial.calls c where c.trunk = t.name and c.state = 'unresolved') as in_doubt,
       (select d.advice from pgdial.doubts(t.name) d) as doubts_hold_slots
from pgdial.trunks t cross join lateral pgdial.trunk_terms(t.name) e
     left join pgdial.trunk_adapter a on a.trunk = t.name
     left join pgdial.trunk_breaker b on b.trunk = t.name,
     (select pgdial.now() as now) n,
     lateral (select count(*) as n from pgdial.live_workers w
              where t.name = any (w.trunks) and not w.draining) w
order by t.name
limit 500;

commit;
