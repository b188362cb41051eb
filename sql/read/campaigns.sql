-- Campaigns with their policies, as JSON.  $1 name, or null for all.
select jsonb_build_object(
    'name', g.name, 'trunk', g.trunk, 'cap', g.cap, 'weight', g.weight, 'paused', g.paused,
    'pausedAt', g.paused_at, 'pausedBy', g.paused_by, 'pausedWhy', g.paused_why, 'maxAttempts', g.max_attempts,
    'ringTimeout', g.ring_timeout::text, 'maxDuration', g.max_duration::text, 'busyBase', g.busy_base::text,
    'noAnswerBase', g.no_answer_base::text, 'faultBase', g.fault_base::text, 'backoffCap', g.backoff_cap::text,
    'redialUnknown', g.redial_unknown, 'region', g.region, 'inFlight', l.in_flight, 'room', l.room, 'reason', l.reason) as campaign
from pgdial.campaigns g
     left join pgdial.lanes(null, (select pgdial.now())) l on l.campaign = g.name
where $1::text is null or g.name = $1
order by g.name
