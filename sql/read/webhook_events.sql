-- Kept webhook events as JSON, newest first, without their bodies.
-- $1 verdict, or null for all.  $2 trunk, or null.  $3 limit.
-- Index: webhook_events_odd for the verdicts in it; the others are frequent, so a page is found quickly.
select jsonb_build_object(
    'id', w.id, 'trunk', w.trunk, 'verdict', w.verdict, 'callId', w.call_id, 'reference', nullif(w.reference, ''),
    'eventId', w.event_id, 'status', w.report ->> 'status', 'providerCallId', w.report ->> 'provider_call_id',
    'receivedAt', w.received_at, 'deliveries', w.deliveries, 'lastDeliveryAt', w.last_delivery_at,
    'triedAgainAt', case when w.verdict = 'parked' then w.try_at end) as event
from pgdial.webhook_events w
where ($1::text is null or w.verdict = $1) and ($2::text is null or w.trunk = $2)
order by w.id desc
limit $3
