-- look_up_due: when is the provider asked about this dial? One in doubt 5 s after its
-- claim, then less and less often; a call that is up when it should have ended twice
-- over, so that a lost webhook is found before the deadline.
create or replace function pgdial.look_up_due(p_call pgdial.calls) returns timestamptz
language sql immutable
as $$
    select coalesce(p_call.look_up_at,
        p_call.claimed_at + case p_call.state when 'unresolved' then '5 seconds'::interval else '2 minutes' end)
$$;

-- own_deadline: the deadline that the claim, or the latest repetition of its request, gave it, by
-- the limits that the provider was told; sweeps may have put deadline_at off since.
create or replace function pgdial.own_deadline(p_call pgdial.calls) returns timestamptz
language sql immutable
as $$
    select coalesce(p_call.repeated_at, p_call.claimed_at)
        + (p_call.ring_timeout_sec + p_call.max_duration_sec) * '1 second'::interval + '2 minutes'::interval
$$;

-- last_deadline: when it is settled as unknown whatever the provider may still say:
-- max_duration after its own deadline, in which the provider could not be asked.
create or replace function pgdial.last_deadline(p_call pgdial.calls) returns timestamptz
language sql immutable
as $$
    select pgdial.own_deadline(p_call) + p_call.max_duration_sec * '1 second'::interval
$$;
