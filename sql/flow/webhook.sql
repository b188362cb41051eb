-- webhook: keep an event that passed its signature, once, and apply it, in one transaction.
-- p_items: [{trunk, reference?, event_id, signed_at?, body (base64), report, again?}].
-- reference: from the URL, its tag verified; null = match by the provider's id.
-- again: the same delivery once more, after it was parked in a batch.
-- signed_at: unix seconds; more than 300 s from the database's clock is too_old: no row.
-- Verdicts: applied, noted, stale, late_answer, mismatch, parked, unparsable,
-- duplicate (kept before, nothing changes), too_old.  detail: {freed}, a slot or number was.
-- Races: the row is locked first. Locked out, or unknown so far: parked, and applied by
-- the sweep, or by `dialed` when it stores the provider's id. First writer wins.
-- Index: primary key, calls_provider_id, webhook_events_once.
create or replace function pgdial.webhook(p_items jsonb)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_item record;
    v_locked uuid[];
    v_call_id uuid;
    v_taken boolean;
begin
    v_locked := pgdial.lock_calls(array(
        select pgdial.event_call(i ->> 'trunk', i ->> 'reference', i -> 'report')
        from jsonb_array_elements(p_items) i));
    v_now := pgdial.now();

    for v_item in select n::int as n, i from jsonb_array_elements(p_items) with ordinality as e (i, n)
                  order by i ->> 'trunk', i ->> 'reference', n
    loop
        ordinal := v_item.n;
        v_call_id := pgdial.event_call(v_item.i ->> 'trunk', v_item.i ->> 'reference', v_item.i -> 'report');
        v_taken := pgdial.is_taking(v_call_id, v_now);
        verdict := pgdial.keep_event(v_item.i, v_call_id, v_call_id = any (v_locked), v_now);
        detail := jsonb_build_object('freed', v_taken and not pgdial.is_taking(v_call_id, v_now));
        return next;
    end loop;
end $$;

-- event_call: which call an event is about: the reference's, else the trunk's call with
-- the provider's id. Null: unknown so far.
create or replace function pgdial.event_call(p_trunk text, p_reference text, p_report jsonb) returns uuid
language sql stable
as $$
    select case
        when p_reference is not null then pgdial.reference_call(p_reference)
        else (select c.id from pgdial.calls c
              where c.trunk = p_trunk and c.provider_call_id = p_report ->> 'provider_call_id'
              order by c.id desc limit 1)
    end
$$;

-- A reference is <call id>-<claim_no>; the id is a uuid, 36 characters long.
create or replace function pgdial.reference_call(p_reference text) returns uuid
language sql immutable
as $$ select left(p_reference, 36)::uuid $$;

create or replace function pgdial.reference_claim_no(p_reference text) returns bigint
language sql immutable
as $$ select substr(p_reference, 38)::bigint $$;

-- is_taking: does this call take its number (in flight, or held)?
create or replace function pgdial.is_taking(p_id uuid, p_now timestamptz) returns boolean
language sql stable
as $$
    select coalesce((select c.state::text in ('dialing', 'unresolved', 'in_call') or coalesce(c.hold_until > p_now, false)
                     from pgdial.calls c where c.id = p_id), false)
$$;

-- keep_event: one item: insert the event; only a new or a still parked one is applied.
create or replace function pgdial.keep_event(p_item jsonb, p_call_id uuid, p_locked boolean, p_now timestamptz)
returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_report constant jsonb := p_item -> 'report';
    v_event pgdial.webhook_events;
    v_is_new boolean;
begin
    if abs(extract(epoch from p_now) - (p_item ->> 'signed_at')::numeric) > 300 then
        return 'too_old';
    end if;
    insert into pgdial.webhook_events as w (trunk, reference, event_id, received_at, last_delivery_at,
                                            try_at, verdict, call_id, report, body)
    values (p_item ->> 'trunk', coalesce(p_item ->> 'reference', ''), p_item ->> 'event_id', p_now, p_now,
            p_now + '1 second', case when v_report ->> 'kind' = 'unparsable' then 'unparsable' else 'parked' end,
            p_call_id, v_report, decode(p_item ->> 'body', 'base64'))
    on conflict (trunk, reference, event_id) do update
        set deliveries = w.deliveries + case when p_item ? 'again' then 0 else 1 end, last_delivery_at = excluded.last_delivery_at
    returning w.* into v_event;
    v_is_new := v_event.deliveries = 1;
    if v_event.verdict <> 'parked' then
        return case when v_is_new then v_event.verdict else 'duplicate' end;
    end if;
    return pgdial.apply_event(v_event, p_call_id, p_locked, p_now);
end $$;

-- apply_event: a parked event whose row is locked by us is applied, and says so. One
-- that cannot be applied (a constraint) stays parked: it is never lost, and it harms
-- no other; the sweep tries it again, less and less often.
create or replace function pgdial.apply_event(
    p_event pgdial.webhook_events, p_call_id uuid, p_locked boolean, p_now timestamptz
) returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_verdict text;
    v_claim_no bigint;
begin
    if p_call_id is null then
        return 'parked';    -- the provider's id may be stored any moment
    elsif not coalesce(p_locked, false) and exists (select from pgdial.calls c where c.id = p_call_id) then
        return 'parked';    -- somebody holds the row
    end if;
    v_claim_no := case when p_event.reference <> '' then pgdial.reference_claim_no(p_event.reference)
                       else pgdial.named_claim_no(p_call_id, p_event.report ->> 'provider_call_id') end;
    begin
        v_verdict := pgdial.apply_report(p_call_id, v_claim_no, p_event.trunk, p_event.report, p_now);
    exception when integrity_constraint_violation or data_exception or raise_exception then
        raise warning 'pgdial: webhook event % is applied without its result: %', p_event.id, sqlerrm;
        begin
            -- How it ended must not be lost to what came with it.
            v_verdict := pgdial.apply_report(p_call_id, v_claim_no, p_event.trunk, p_event.report - 'result', p_now);
        exception when integrity_constraint_violation or data_exception or raise_exception then
            raise warning 'pgdial: webhook event % stays parked: %', p_event.id, sqlerrm;
            return 'parked';
        end;
    end;
    update pgdial.webhook_events w set verdict = v_verdict, call_id = p_call_id where w.id = p_event.id;
    return v_verdict;
end $$;

-- named_claim_no: which claim of the call has this name at the provider? The row forgets it
-- with a retry, the history does not. Null: none.
create or replace function pgdial.named_claim_no(p_call_id uuid, p_provider_call_id text) returns bigint
language sql stable
as $$
    select coalesce(
        (select c.claim_no from pgdial.calls c where c.id = p_call_id and c.provider_call_id = p_provider_call_id),
        (select e.claim_no from pgdial.call_events e
         where e.call_id = p_call_id and e.detail ->> 'provider_call_id' = p_provider_call_id
         order by e.seq desc limit 1))
$$;

-- apply_parked: events that came before the provider's id was stored. The caller holds
-- the call's row; an event that somebody else is applying is theirs (skip locked).
create or replace function pgdial.apply_parked(p_call pgdial.calls, p_provider_call_id text, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_event pgdial.webhook_events;
begin
    for v_event in
        select w.* from pgdial.webhook_events w
        where w.verdict = 'parked' and w.trunk = p_call.trunk and w.reference = ''
          and w.report ->> 'provider_call_id' = p_provider_call_id
        order by w.id for update skip locked
    loop
        perform pgdial.apply_event(v_event, p_call.id, true, p_now);
    end loop;
end $$;
