-- inbox: what did providers tell us in the last 24 hours, and what became of it?
-- One row for each trunk and verdict. Look at mismatch (not about the call that its URL
-- names), unparsable, late_answer (two dials of one call may have been answered), and
-- at parked ones that stay: their call is unknown, or its row cannot be moved.
-- Cost: reads the events of 24 hours by an index, and the parked ones by another.
begin read only;
set local statement_timeout = '30s';

select w.trunk, w.verdict, count(*) as events, sum(w.deliveries) as deliveries,
       count(*) filter (where w.deliveries > 1) as repeated,
       min(w.received_at) as oldest, max(w.last_delivery_at) as latest,
       (array_agg(w.call_id order by w.id desc) filter (where w.call_id is not null))[1] as latest_call,
       (array_agg(w.report ->> 'status' order by w.id desc))[1] as latest_status
from pgdial.webhook_events w
where w.received_at > (select pgdial.now()) - interval '24 hours' or w.verdict = 'parked'
group by w.trunk, w.verdict
order by w.trunk, events desc;

commit;
