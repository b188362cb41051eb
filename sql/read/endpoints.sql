-- Endpoints, as JSON.  $1 name, or null for all.
-- lagSec: of the oldest delivery that is unfinished, or of the first event after the cursor, whichever is older.
select jsonb_build_object(
    'name', e.name, 'url', e.url, 'kinds', e.kinds, 'campaigns', e.campaigns, 'paused', e.paused, 'pausedAt', e.paused_at,
    'pausedBy', e.paused_by, 'pausedWhy', e.paused_why, 'createdAt', e.created_at,
    'unfinished', p.unfinished, 'lagSec', extract(epoch from n.now - pgdial.undelivered_since(e.id)),
    'failures', p.failures, 'failingSince', p.failing_since, 'lastError', case when p.failures > 0 then p.last_error end,
    'heldUntil', case when p.held_until > n.now then p.held_until end, 'deliveredAt', p.delivered_at) as endpoint
from (select pgdial.now()) n (now), pgdial.endpoints e join pgdial.endpoint_progress p on p.endpoint = e.id
where $1::text is null or e.name = $1
order by e.name
