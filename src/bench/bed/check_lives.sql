-- How many calls the bench has seeded or enqueued and not finished itself, and how many of
-- them are in state $1 after one claim with exactly the events $2, in their order.
-- Seeded history is left out first: it may be a hundred times as long.
with mine as materialized (
    select c.id, c.state, c.claim_no from pgdial.calls c
    where c.provider_call_id is null or c.provider_call_id not like 'seed-%'
), life as (
    select e.call_id, array_agg(e.kind order by e.seq) as kinds, max(e.claim_no) as claims
    from mine m join pgdial.call_events e on e.call_id = m.id group by e.call_id
)
select count(*), count(*) filter (
    where c.state::text = $1 and c.claim_no = 1 and l.claims = 1 and l.kinds = $2)
from mine c left join life l on l.call_id = c.id
