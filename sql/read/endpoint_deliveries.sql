-- Deliveries to an endpoint, the latest events first, as JSON.
-- $1 endpoint  $2 state or null  $3 call or null  $4 before this id, or null  $5 limit.
-- One part per access path, so that no rare state causes a walk through all.
-- Index: deliveries_unfinished, deliveries_given_up, deliveries_of_call, primary key backwards.
with its as (
    select e.id, k.xid, k.seq from pgdial.endpoints e left join pgdial.delivered_event($4) k on true where e.name = $1
), page as (
    (select d.* from its i join pgdial.deliveries d on d.endpoint = i.id
     where $3::uuid is not null and d.call_id = $3 and ($2::text is null or d.state = $2)
       and (i.xid is null or (d.xid, d.seq) < (i.xid, i.seq))
     order by d.xid desc, d.seq desc limit $5)
    union all
    (select d.* from its i join pgdial.deliveries d on d.endpoint = i.id
     where $3::uuid is null and $2 in ('queued', 'pending') and d.state in ('queued', 'pending') and d.state = $2
       and (i.xid is null or (d.xid, d.seq) < (i.xid, i.seq))
     order by d.xid desc, d.seq desc limit $5)
    union all
    (select d.* from its i join pgdial.deliveries d on d.endpoint = i.id
     where $3::uuid is null and $2 = 'given_up' and d.state = 'given_up'
       and (i.xid is null or (d.xid, d.seq) < (i.xid, i.seq))
     order by d.xid desc, d.seq desc limit $5)
    union all
    (select d.* from its i join pgdial.deliveries d on d.endpoint = i.id
     where $3::uuid is null and coalesce($2 = 'delivered', true) and ($2 is null or d.state = $2)
       and (i.xid is null or (d.xid, d.seq) < (i.xid, i.seq))
     order by d.xid desc, d.seq desc limit $5)
)
select jsonb_build_object(
    'id', pgdial.delivery_id(d), 'kind', d.kind, 'callId', d.call_id, 'at', d.at, 'state', d.state, 'attempts', d.attempts,
    'nextAt', case when d.state = 'pending' then d.next_at end, 'endedAt', d.ended_at, 'status', d.log -> -1 -> 'status',
    'error', d.log -> -1 -> 'error') as delivery
from page p join pgdial.deliveries d on d.endpoint = p.endpoint and d.xid = p.xid and d.seq = p.seq
order by d.xid desc, d.seq desc
