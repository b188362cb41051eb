-- Ends the attempts of the calls $1 as refused for good, with their events: one statement, one commit.
with ended as (
    update bare.calls c
    set state = 'failed', outcome = 'invalid_number', last_error = 'no such number', ended_at = n.now,
        lease_until = null, deadline_at = null
    from (select clock_timestamp() as now) n
    where c.id = any ($1) and c.state::text in ('dialing', 'unresolved', 'in_call')
    returning c.id, c.claim_no, c.attempt, c.ended_at
)
insert into bare.call_events (at, call_id, claim_no, attempt, kind, detail)
select e.ended_at, e.id, e.claim_no, e.attempt, 'failed',
       jsonb_build_object('why', 'no such number', 'outcome', 'invalid_number')
from ended e
