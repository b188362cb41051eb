-- Several numbers of one person: a call rings one at a time (calls.phone) and takes all of them (calls.numbers).

-- read_numbers: the numbers of a list, normalised, each once, in its order; null: it has a fault (numbers_problem).
create or replace function pgdial.read_numbers(p_to jsonb, p_region text) returns text[]
language plpgsql stable
as $$
declare
    v_read constant text[] := array(
        select pgdial.normal_phone(case when jsonb_typeof(t) = 'string' then t #>> '{}' end, p_region)
        from jsonb_array_elements(p_to) with ordinality e (t, n) order by n);
begin
    if cardinality(v_read) not between 1 and 10 or array_position(v_read, null) is not null then
        return null;
    end if;
    return array(select u.number from unnest(v_read) with ordinality u (number, n) group by u.number order by min(u.n));
end $$;

-- numbers_problem: what is wrong with a list of numbers, a sentence per fault; null: nothing.
create or replace function pgdial.numbers_problem(p_to jsonb, p_region text) returns text
language plpgsql stable
as $$
begin
    if jsonb_array_length(p_to) not between 1 and 10 then
        return '"to" must be a number, or a list of 1 to 10 numbers of one person';
    end if;
    return (
        select string_agg(format('"to"[%s] %s', n - 1, case when jsonb_typeof(t) <> 'string' then 'must be a string'
                                                           else 'is ' || pgdial.phone_problem(t #>> '{}', p_region) end), chr(10) order by n)
        from jsonb_array_elements(p_to) with ordinality e (t, n)
        where jsonb_typeof(t) <> 'string' or pgdial.normal_phone(t #>> '{}', p_region) is null);
end $$;

-- next_number: the first of these numbers, from this position on and around, that may be rung: neither on the
-- do-not-call list for this campaign, nor one of p_invalid. Null: none may.
create or replace function pgdial.next_number(
    p_numbers text[], p_from int, p_invalid text[], p_campaign text, p_now timestamptz
) returns text
language plpgsql stable
as $$
begin
    return (
        select u.number from unnest(p_numbers) with ordinality u (number, n)
        where u.number <> all (coalesce(p_invalid, '{}'))
          and pgdial.listed(u.number, p_campaign, p_now) is null
        order by u.n < p_from, u.n limit 1);
end $$;

-- present_number: the number of a waiting call, or of one that goes back to waiting: the same, unless it may not be
-- rung any more. Null: none may.
create or replace function pgdial.present_number(p_call pgdial.calls, p_now timestamptz) returns text
language plpgsql stable
as $$
begin
    return pgdial.next_number(coalesce(p_call.numbers, array[p_call.phone]), array_position(p_call.numbers, p_call.phone),
                              p_call.invalid_numbers, p_call.campaign, p_now);
end $$;

-- first_number: the number of a call that starts anew: what was invalid may have been assigned since. Null: none may be
-- rung.
create or replace function pgdial.first_number(p_call pgdial.calls, p_now timestamptz) returns text
language plpgsql stable
as $$
begin
    return pgdial.next_number(coalesce(p_call.numbers, array[p_call.phone]), 1, null, p_call.campaign, p_now);
end $$;

-- moves_on: does a call try its next number after this outcome? Not where the number is not what was in the way
-- (a fault, no room), and not in doubt: the person may be ringing.
create or replace function pgdial.moves_on(p_outcome pgdial.outcome) returns boolean
language sql immutable
as $$ select p_outcome in ('no_answer', 'busy', 'unreachable', 'declined', 'voicemail', 'invalid_number') $$;

-- number_after: the number that a call rings after an attempt with this outcome, and whether at once: its turn in
-- this round has not come yet, and nobody has taken or declined the call. Null: none may be rung.
create or replace function pgdial.number_after(
    p_call pgdial.calls, p_outcome pgdial.outcome, p_now timestamptz, out phone text, out at_once boolean
)
language plpgsql stable
as $$
declare
    v_at constant int := array_position(p_call.numbers, p_call.phone);
begin
    if v_at is null or not pgdial.moves_on(p_outcome) then
        phone := pgdial.present_number(p_call, p_now);
        at_once := false;
        return;
    end if;
    phone := pgdial.next_number(p_call.numbers, v_at + 1, p_call.invalid_numbers
                                || case when p_outcome = 'invalid_number' and pgdial.has_another(p_call) then array[p_call.phone] end,
                                p_call.campaign, p_now);
    at_once := array_position(p_call.numbers, phone) > v_at and p_outcome not in ('declined', 'voicemail');
end $$;

-- has_another: is there a number of this call besides the present one that is neither invalid nor somebody else's?
create or replace function pgdial.has_another(p_call pgdial.calls) returns boolean
language sql immutable
as $$
    select not coalesce(p_call.numbers <@ (coalesce(p_call.invalid_numbers, '{}') || p_call.phone), true)
$$;

-- round_of: which round through its numbers the present attempt belongs to: what a backoff grows by.
create or replace function pgdial.round_of(p_call pgdial.calls) returns int
language sql immutable
as $$
    select ceil(p_call.attempt / greatest(cardinality(p_call.numbers), 1)::numeric)::int
$$;

-- dialled: the number that this claim dialled.
create or replace function pgdial.dialled(p_call pgdial.calls, p_claim_no bigint) returns text
language plpgsql stable
as $$
begin
    return coalesce(
        case when p_call.numbers is not null then (
            select p_call.numbers[(e.detail ->> 'number')::int] from pgdial.call_events e
            where e.call_id = p_call.id and e.claim_no = p_claim_no and e.kind = 'active' order by e.seq limit 1) end,
        p_call.phone);
end $$;

-- calls_to: the calls of which this is a number, by id from p_after on, at most p_most.
-- Index: calls_phone, calls_numbers.
create or replace function pgdial.calls_to(p_phone text, p_after uuid, p_most int) returns setof uuid
language plpgsql stable
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = on
set jit = off
as $$
begin
    return query
        (select c.id from pgdial.calls c where c.phone = p_phone and c.id > p_after order by c.id limit p_most)
        union
        -- Fenced: the order would lead the planner along all ids.
        (select o.id from (select c.id from pgdial.calls c where c.numbers @> array[p_phone] offset 0) o
         where o.id > p_after order by o.id limit p_most)
        order by 1 limit p_most;
end $$;

-- change_numbers: these waiting calls go on with their next number, where the present one is on the do-not-call
-- list and another is not. One that cannot be written is put off.
create or replace function pgdial.change_numbers(p_ids uuid[], p_now timestamptz) returns int
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_call pgdial.calls;
    v_next text;
    v_n int := 0;
begin
    for v_call in
        select c.* from pgdial.calls c
        where c.id = any (p_ids) and c.numbers is not null and c.state::text = 'waiting' order by c.id
    loop
        begin
            select c.* into v_call from pgdial.calls c
            where c.id = v_call.id and c.state::text = 'waiting' for no key update skip locked;
            continue when not found;
            v_next := pgdial.present_number(v_call, p_now);
            continue when v_next is null or v_next = v_call.phone;
            update pgdial.calls c set phone = v_next, area = pgdial.area_of(v_next, c.timezone, c.region)
            where c.id = v_call.id;
            perform pgdial.note(v_call, 'number_changed', p_now, jsonb_build_object(
                'why', 'on the do-not-call list', 'next_number', array_position(v_call.numbers, v_next)));
            v_n := v_n + 1;
        exception when integrity_constraint_violation or raise_exception or data_exception then
            perform pgdial.put_off(v_call, sqlerrm, p_now);
        end;
    end loop;
    return v_n;
end $$;
