-- Calls of one page of an export, in the order of $1, as JSON, each with a summary of its attempts.
-- $1 ids, from pgdial.export_ids. Calls deleted meanwhile are left out.
-- Index: primary key, call_events_by_call. Cost: one read of the history of each call.
select jsonb_build_object(
    'id', c.id, 'to', c.phone, 'numbers', c.numbers, 'timezone', c.timezone, 'region', c.region, 'from', c.from_number, 'campaign', c.campaign, 'scriptId', c.script_id,
    'metadata', c.metadata, 'priority', c.priority, 'state', c.state, 'outcome', c.outcome, 'attempt', c.attempt,
    'maxAttempts', c.max_attempts, 'createdAt', c.created_at, 'runAt', c.run_at, 'expiresAt', c.expires_at, 'startedAt', c.started_at,
    'answeredAt', c.answered_at, 'endedAt', c.ended_at, 'trunk', c.trunk, 'providerCallId', c.provider_call_id,
    'disposition', c.disposition, 'callbackOf', c.callback_of,
    'consentAt', c.consent_at, 'consentRef', c.consent_ref, 'consentExpiresAt', c.consent_expires_at,
    'lastError', c.last_error, 'owner', c.owner, 'idempotencyKey', c.idempotency_key, 'result', c.result,
    'attempts', coalesce((
        select jsonb_agg(jsonb_build_object(
            'claimNo', a.claim_no, 'to', coalesce(c.numbers[a.number], c.phone), 'trunk', a.trunk, 'claimedAt', a.claimed_at,
            'endedAt', a.ended_at, 'endedAs', a.ended_as, 'outcome', a.outcome) order by a.claim_no)
        from (
            select e.claim_no, min(e.at) filter (where e.kind = 'active') as claimed_at,
                   min(e.detail ->> 'trunk') filter (where e.kind = 'active') as trunk,
                   min((e.detail ->> 'number')::int) filter (where e.kind = 'active') as number,
                   (array_agg(e.at order by e.seq) filter (where k.ends))[1] as ended_at,
                   (array_agg(e.kind order by e.seq) filter (where k.ends))[1] as ended_as,
                   (array_agg(e.detail ->> 'outcome' order by e.seq) filter (where k.ends))[1] as outcome
            from pgdial.call_events e, lateral (
                select e.kind in ('completed', 'retried', 'failed', 'canceled', 'deferred', 'suppressed', 'expired')) k (ends)
            where e.call_id = c.id and e.at >= c.created_at - '1 hour'::interval
            group by e.claim_no having bool_or(e.kind = 'active')) a), '[]')) as call
from unnest($1::uuid[]) with ordinality as i (id, n)
     join pgdial.calls c on c.id = i.id
order by i.n
