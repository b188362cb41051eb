-- look_up_due: when is the provider asked about this dial? One in doubt 5 s after its
-- claim, an accepted one when its report may be lost (look_up_after); then less and less often.
create or replace function pgdial.look_up_due(p_call pgdial.calls) returns timestamptz
language sql stable
as $$
    select coalesce(p_call.look_up_at, p_call.claimed_at + case p_call.state
        when 'unresolved' then '5 seconds'::interval
        else pgdial.look_up_after(
            pgdial.own_deadline(p_call) - coalesce(p_call.repeated_at, p_call.claimed_at) - '2 minutes'::interval) end)
$$;

-- look_up_after: how long after its claim a call that may take so long is asked about. Half of
-- that, so that a lost webhook costs a short call seconds; never more than 2 minutes, and never so
-- soon that its webhook may still be under way.
create or replace function pgdial.look_up_after(p_longest interval) returns interval
language sql immutable
as $$ select greatest('5 seconds', least('2 minutes', p_longest / 2)) $$;

-- own_deadline: the deadline that the claim, or the latest repetition of its request, gave it;
-- sweeps may have put deadline_at off since.
create or replace function pgdial.own_deadline(p_call pgdial.calls) returns timestamptz
language sql stable
as $$
    select coalesce(p_call.repeated_at, p_call.claimed_at) + '2 minutes'::interval + coalesce(
        (select g.ring_timeout + g.max_duration from pgdial.campaigns g where g.name = p_call.campaign), '31 minutes')
$$;

-- last_deadline: when it is settled as unknown whatever the provider may still say:
-- max_duration after its own deadline, in which the provider could not be asked.
create or replace function pgdial.last_deadline(p_call pgdial.calls) returns timestamptz
language sql stable
as $$
    select pgdial.own_deadline(p_call) + coalesce(
        (select g.max_duration from pgdial.campaigns g where g.name = p_call.campaign), '30 minutes')
$$;
