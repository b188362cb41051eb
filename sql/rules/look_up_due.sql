-- look_up_due: when to ask the provider about this dial. One in doubt 5 s after its claim, an accepted one when
-- its report may be lost (look_up_after); then less and less often.
create or replace function pgdial.look_up_due(p_call pgdial.calls) returns timestamptz
language sql stable
as $$
    select coalesce(p_call.look_up_at, p_call.claimed_at + case p_call.state
        when 'unresolved' then '5 seconds'::interval
        else pgdial.look_up_after((p_call.ring_timeout_sec + p_call.max_duration_sec) * '1 second'::interval) end)
$$;

-- look_up_after: how long after its claim to ask about a call that can last p_longest. Half of that, so that a
-- lost webhook costs a short call only seconds; at most 2 minutes, and never so soon that its webhook may still
-- be under way.
create or replace function pgdial.look_up_after(p_longest interval) returns interval
language sql immutable
as $$ select greatest('5 seconds', least('2 minutes', p_longest / 2)) $$;

-- lease: how long the dial of this claim, or the repeat of its request, may take.
create or replace function pgdial.lease(p_call pgdial.calls) returns interval
language sql immutable
as $$ select coalesce(p_call.lease_sec, 60) * '1 second'::interval $$;

-- own_deadline: the deadline set by the claim, or by the latest repeat of its request, from its lease and the limits
-- that the provider was told; sweeps may have moved deadline_at since.
create or replace function pgdial.own_deadline(p_call pgdial.calls) returns timestamptz
language sql immutable
as $$
    select coalesce(p_call.repeated_at, p_call.claimed_at) + pgdial.lease(p_call)
        + (p_call.ring_timeout_sec + p_call.max_duration_sec) * '1 second'::interval + '1 minute'::interval
$$;

-- last_deadline: when it is settled as unknown whatever the provider may still say: max_duration after its own
-- deadline, for a provider that could not be asked.
create or replace function pgdial.last_deadline(p_call pgdial.calls) returns timestamptz
language sql immutable
as $$
    select pgdial.own_deadline(p_call) + p_call.max_duration_sec * '1 second'::interval
$$;
