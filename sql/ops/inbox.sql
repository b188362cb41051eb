-- inbox: what have providers reported lately, and what became of it?
-- One row per trunk and verdict. Look at mismatch (not about the call that its URL names), unparsable,
-- late_answer (two dials of one call may have been answered), and at parked ones that stay: their call's row
-- cannot be updated. Unmatched ones are about calls that are unknown here: does other software use the trunk's
-- account?
-- Covers the latest 20,000 events of the last 24 hours, and 5,000 parked ones whose call is known.
-- Cost: 25,000 events, by two indexes.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

with latest as materialized (
    select w.id, w.trunk, w.verdict, w.deliveries, w.received_at, w.last_delivery_at, w.call_id, w.report ->> 'status' as status
    from pgdial.webhook_events w
    where w.received_at > (select pgdial.now()) - interval '24 hours'
    order by w.received_at desc limit 20000
), parked as (
    select w.id, w.trunk, w.verdict, w.deliveries, w.received_at, w.last_delivery_at, w.call_id, w.report ->> 'status'
    from pgdial.webhook_events w
    where w.verdict = 'parked' and w.call_id is not null and w.id not in (select l.id from latest l)
    order by w.try_at limit 5000
)
select w.trunk, w.verdict, count(*) as events, sum(w.deliveries) as deliveries,
       count(*) filter (where w.deliveries > 1) as repeated,
       min(w.received_at) as oldest, max(w.last_delivery_at) as latest,
       (array_agg(w.call_id order by w.id desc) filter (where w.call_id is not null))[1] as latest_call,
       (array_agg(w.status order by w.id desc))[1] as latest_status
from (select * from latest union all select * from parked) w
group by w.trunk, w.verdict
order by w.trunk, events desc
limit 500;

commit;
