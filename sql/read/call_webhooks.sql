-- Kept webhook events about one call as JSON, newest first, each with its original body.
-- $1 call id. $2 below this event, or null. $3 limit. $4 maximum bytes of bodies; the first body is returned in
-- any case. more: there are further events below.
-- Index: webhook_events_by_call.
select jsonb_build_object(
    'id', p.id, 'trunk', p.trunk, 'verdict', p.verdict, 'callId', p.call_id, 'reference', nullif(p.reference, ''),
    'eventId', p.event_id, 'status', p.report ->> 'status', 'providerCallId', p.report ->> 'provider_call_id',
    'receivedAt', p.received_at, 'deliveries', p.deliveries, 'lastDeliveryAt', p.last_delivery_at,
    'triedAgainAt', case when p.verdict = 'parked' then p.try_at end) as event,
    p.body,
    exists (select from pgdial.webhook_events o where o.call_id = $1 and o.id < p.id) as more
from (
    select w.*, sum(octet_length(w.body)) over (order by w.id desc) - octet_length(w.body) as before
    from pgdial.webhook_events w
    where w.call_id = $1 and w.id < coalesce($2::bigint, 9223372036854775807)
    order by w.id desc
    limit $3) p
where p.before < $4
order by p.id desc
