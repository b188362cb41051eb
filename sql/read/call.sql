-- One call with its history, as JSON for the API and the CLI.
-- $1 call id.  Zero rows: there is no such call.  Index: primary key, call_events_by_call.
select jsonb_build_object(
    'id', c.id, 'to', c.phone, 'numbers', c.numbers, 'timezone', c.timezone, 'region', c.region, 'from', c.from_number, 'scriptId', c.script_id, 'metadata', c.metadata,
    'campaign', c.campaign, 'priority', c.priority, 'state', c.state, 'runAt', c.run_at, 'expiresAt', c.expires_at,
    'attempt', c.attempt, 'maxAttempts', c.max_attempts, 'deferrals', c.deferrals, 'claimNo', c.claim_no,
    'trunk', c.trunk, 'providerCallId', c.provider_call_id, 'claimedAt', c.claimed_at, 'leaseUntil', c.lease_until,
    'deadlineAt', c.deadline_at, 'holdUntil', c.hold_until, 'answeredAt', c.answered_at, 'outcome', c.outcome,
    'disposition', c.disposition, 'callbackOf', c.callback_of,
    'consentAt', c.consent_at, 'consentRef', c.consent_ref, 'consentExpiresAt', c.consent_expires_at,
    'result', c.result, 'lastError', c.last_error, 'cancelRequestedAt', c.cancel_requested_at,
    'cancelRequestedBy', c.cancel_requested_by, 'cancelRequestedWhy', c.cancel_requested_why,
    'owner', c.owner, 'idempotencyKey', c.idempotency_key, 'createdAt', c.created_at,
    'startedAt', c.started_at, 'endedAt', c.ended_at,
    'attempts', coalesce((
        select jsonb_agg(jsonb_build_object(
            'claimNo', a.claim_no, 'attempt', a.attempt, 'to', coalesce(c.numbers[a.number], c.phone), 'trunk', a.trunk,
            'callerId', a.caller_id, 'claimedAt', a.claimed_at,
            'inCallAt', a.in_call_at, 'providerCallId', a.provider_call_id, 'endedAt', a.ended_at,
            'endedAs', a.ended_as, 'outcome', a.outcome, 'disposition', a.disposition, 'why', a.why,
            'result', a.result) order by a.claim_no)
        from pgdial.attempts a where a.call_id = c.id), '[]'),
    'events', coalesce((
        select jsonb_agg(jsonb_build_object(
            'seq', e.seq, 'at', e.at, 'kind', e.kind, 'claimNo', e.claim_no, 'attempt', e.attempt,
            'detail', e.detail) order by e.seq)
        from pgdial.call_events e where e.call_id = c.id), '[]')) as call
from pgdial.calls c
where c.id = $1
