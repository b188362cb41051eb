-- What happened to one owner's calls, in order: for the demo's summary.
-- $1 owner.  Cost: the whole history of that owner's calls.
select e.at, e.kind, e.call_id, e.claim_no, e.detail ->> 'outcome' as outcome
from pgdial.calls c
     join pgdial.call_events e on e.call_id = c.id
where c.owner = $1
order by e.seq
