-- One page of calls, newest first, as JSON.
-- $1 state or null  $2 phone or null  $3 campaign or null  $4 below this id, or null
-- $5 limit.
-- One part per access path, all but one to three of which are skipped at execution, so that a rare state or
-- campaign never causes a walk through the history. Planned for each request: must not be kept as a prepared
-- statement.
-- Cost: the calls of one number; else $5 entries of each campaign and state, and an entry for each waiting call
-- if those are requested.
-- Index: primary key backwards, calls_phone, calls_numbers, calls_over, calls_claimable, calls_in_flight.
with recursive known (campaign) as (
    -- The requested campaign, or those with finished calls, by jumping along the index.
    (select coalesce($3::text, (select c.campaign from pgdial.calls c where c.ended_at is not null order by c.campaign limit 1)))
    union all
    select (select c.campaign from pgdial.calls c where c.ended_at is not null and c.campaign > k.campaign order by c.campaign limit 1)
    from known k where k.campaign is not null and $3::text is null
), page (id) as (
    (select c.id from pgdial.calls c
     where $1::text is null and $2::text is null and $3::text is null and c.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     order by c.id desc limit $5)
    union all
    (select c.id from pgdial.calls c
     where $2::text is not null and c.phone = $2 and c.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       and ($1::text is null or c.state::text = $1) and ($3::text is null or c.campaign = $3)
     order by c.id desc limit $5)
    union all
    (select c.id from pgdial.calls c
     where $2::text is not null and c.numbers @> array[$2] and c.phone <> $2 and c.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       and ($1::text is null or c.state::text = $1) and ($3::text is null or c.campaign = $3)
     order by c.id desc limit $5)
    union all
    -- Finished calls.
    (select o.id
     from unnest(array['completed', 'failed', 'canceled', 'expired', 'suppressed']::pgdial.call_state[]) s (state)
          cross join known k
          cross join lateral (
              select c.id from pgdial.calls c
              where c.ended_at is not null and c.campaign = k.campaign and c.state = s.state and c.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
              order by c.id desc limit $5) o
     where $2::text is null and ($1::text is not null or $3::text is not null) and ($1::text is null or s.state::text = $1))
    union all
    -- Live calls. "offset 0" keeps the planner from walking the primary key until it meets enough of them.
    (select w.id from (select c.id from pgdial.calls c where c.state = 'waiting' and c.campaign = $3 offset 0) w
     where $2::text is null and $3::text is not null and ($1::text is null or $1 = 'waiting')
       and w.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     order by w.id desc limit $5)
    union all
    (select w.id from (select c.id from pgdial.calls c where c.state = 'waiting' offset 0) w
     where $2::text is null and $3::text is null and $1::text = 'waiting'
       and w.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     order by w.id desc limit $5)
    union all
    (select f.id from (select c.id, c.state, c.campaign from pgdial.calls c
                       where c.state in ('dialing', 'unresolved', 'in_call') offset 0) f
     where $2::text is null and ($1::text is null and $3::text is not null or $1 in ('dialing', 'unresolved', 'in_call'))
       and ($1::text is null or f.state::text = $1) and ($3::text is null or f.campaign = $3)
       and f.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     order by f.id desc limit $5)
)
select jsonb_build_object(
    'id', c.id, 'to', c.phone, 'numbers', c.numbers, 'from', c.from_number, 'scriptId', c.script_id, 'metadata', c.metadata,
    'campaign', c.campaign, 'priority', c.priority, 'state', c.state, 'runAt', c.run_at, 'expiresAt', c.expires_at,
    'attempt', c.attempt, 'maxAttempts', c.max_attempts, 'trunk', c.trunk, 'providerCallId', c.provider_call_id,
    'answeredAt', c.answered_at, 'outcome', c.outcome, 'disposition', c.disposition, 'lastError', c.last_error, 'createdAt', c.created_at,
    'startedAt', c.started_at, 'endedAt', c.ended_at) as call
from (select p.id from page p order by p.id desc limit $5) p
     join pgdial.calls c on c.id = p.id
order by c.id desc
