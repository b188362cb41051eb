-- How many calls the bench has seeded or enqueued and not finished itself, and how many of
-- them are in state $1 after one claim with exactly the events $2, in their order.
with life as (
    select e.call_id, array_agg(e.kind order by e.seq) as kinds, max(e.claim_no) as claims
    from pgdial.call_events e group by e.call_id
)
select count(*), count(*) filter (
    where c.state::text = $1 and c.claim_no = 1 and l.claims = 1 and l.kinds = $2)
from pgdial.calls c left join life l on l.call_id = c.id
where c.provider_call_id is null or c.provider_call_id not like 'seed-%'
