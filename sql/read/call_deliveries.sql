-- Deliveries of the events of one call, to all endpoints, the latest events first, as JSON.  $1 call  $2 limit.
-- Index: deliveries_of_call.
select jsonb_build_object('endpoint', e.name, 'delivery', jsonb_build_object(
    'id', pgdial.delivery_id(d), 'kind', d.kind, 'callId', d.call_id, 'at', d.at, 'state', d.state, 'attempts', d.attempts,
    'nextAt', case when d.state = 'pending' then d.next_at end, 'endedAt', d.ended_at, 'status', d.log -> -1 -> 'status',
    'error', d.log -> -1 -> 'error')) as delivery
from pgdial.deliveries d join pgdial.endpoints e on e.id = d.endpoint
where d.call_id = $1
order by d.xid desc, d.seq desc, e.name
limit $2
