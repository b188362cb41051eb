-- One page of calls, newest first, as JSON.
-- $1 state or null  $2 phone or null  $3 campaign or null  $4 below this id, or null
-- $5 how many.  Index: primary key backwards, or calls_phone when a number is given.
select jsonb_build_object(
    'id', c.id, 'to', c.phone, 'from', c.from_number, 'scriptId', c.script_id, 'metadata', c.metadata,
    'campaign', c.campaign, 'priority', c.priority, 'state', c.state, 'runAt', c.run_at, 'expiresAt', c.expires_at,
    'attempt', c.attempt, 'maxAttempts', c.max_attempts, 'trunk', c.trunk, 'providerCallId', c.provider_call_id,
    'answeredAt', c.answered_at, 'outcome', c.outcome, 'lastError', c.last_error, 'createdAt', c.created_at,
    'startedAt', c.started_at, 'endedAt', c.ended_at) as call
from pgdial.calls c
where ($1::text is null or c.state = $1::pgdial.call_state)
  and ($2::text is null or c.phone = $2)
  and ($3::text is null or c.campaign = $3)
  and ($4::uuid is null or c.id < $4)
order by c.id desc
limit $5
