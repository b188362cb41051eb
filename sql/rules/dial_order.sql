-- dial_order: what a worker needs to send the request of a dial again, as JSON. It must describe the same call
-- as the first request: what stamp_all (sql/flow/claim.sql) returns.
-- p_dial_before: the provider must refuse it after that.
create or replace function pgdial.dial_order(p_call pgdial.calls, p_dial_before timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'id', p_call.id, 'claim_no', p_call.claim_no, 'attempt', p_call.attempt, 'phone', p_call.phone,
        'from_number', p_call.caller_id, 'script_id', p_call.script_id, 'metadata', p_call.metadata,
        'trunk', p_call.trunk, 'campaign', p_call.campaign, 'lease_until', p_dial_before, 'lease_sec', extract(epoch from pgdial.lease(p_call))::int,
        'ring_timeout_sec', p_call.ring_timeout_sec, 'max_duration_sec', p_call.max_duration_sec,
        'traceparent', p_call.traceparent, 'answering_machine', p_call.answering_machine)
$$;
