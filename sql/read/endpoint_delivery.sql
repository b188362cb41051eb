-- One delivery with its body and its attempts, as JSON.  $1 endpoint  $2 id of the event.
select jsonb_build_object(
    'id', pgdial.delivery_id(d), 'kind', d.kind, 'callId', d.call_id, 'at', d.at, 'state', d.state, 'attempts', d.attempts,
    'nextAt', case when d.state = 'pending' then d.next_at end, 'endedAt', d.ended_at, 'status', d.log -> -1 -> 'status',
    'error', d.log -> -1 -> 'error', 'body', d.body::jsonb, 'log', d.log) as delivery
from pgdial.endpoints e, pgdial.delivered_event($2) k, pgdial.deliveries d
where e.name = $1 and d.endpoint = e.id and d.xid = k.xid and d.seq = k.seq and d.at = k.at
