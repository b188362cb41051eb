-- How many calls there are (finished ones that were seeded do not count), and how many of
-- them are in state $1 after $2 claims with the events $3 in this order; $4: and no others.
with life as (
    select e.call_id, array_agg(e.kind order by e.seq) filter (where $4 or e.kind = any ($3)) as kinds,
           max(e.claim_no) as claims
    from pgdial.call_events e group by e.call_id
)
select count(*), count(*) filter (
    where c.state::text = $1 and c.claim_no = $2 and l.claims = $2 and l.kinds = $3)
from pgdial.calls c left join life l on l.call_id = c.id
where c.provider_call_id is null or c.provider_call_id not like 'seed-%'
