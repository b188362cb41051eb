-- Calls in brief, newest first, as JSON.
-- $1 ids. Calls deleted meanwhile are left out. Index: primary key.
select jsonb_build_object(
    'id', c.id, 'to', c.phone, 'numbers', c.numbers, 'from', c.from_number, 'scriptId', c.script_id, 'metadata', c.metadata,
    'campaign', c.campaign, 'priority', c.priority, 'state', c.state, 'runAt', c.run_at, 'expiresAt', c.expires_at,
    'attempt', c.attempt, 'maxAttempts', c.max_attempts, 'trunk', c.trunk, 'providerCallId', c.provider_call_id,
    'answeredAt', c.answered_at, 'outcome', c.outcome, 'disposition', c.disposition, 'lastError', c.last_error, 'createdAt', c.created_at,
    'startedAt', c.started_at, 'endedAt', c.ended_at) as call
from pgdial.calls c where c.id = any ($1::uuid[])
order by c.id desc
