-- How many calls there are (finished ones that were seeded do not count), and how many of
-- them are in state $1 after $2 claims with the events $3 in this order; $4: and no others.
-- What was seeded is left out first: it may be a hundred times as much.
with mine as materialized (
    select c.id, c.state, c.claim_no from pgdial.calls c
    where c.provider_call_id is null or c.provider_call_id not like 'seed-%'
), life as (
    select e.call_id, array_agg(e.kind order by e.seq) filter (where $4 or e.kind = any ($3)) as kinds,
           max(e.claim_no) as claims
    from mine m join pgdial.call_events e on e.call_id = m.id group by e.call_id
)
select count(*), count(*) filter (
    where c.state::text = $1 and c.claim_no = $2 and l.claims = $2 and l.kinds = $3)
from mine c left join life l on l.call_id = c.id
