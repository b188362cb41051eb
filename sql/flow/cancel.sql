-- cancel, cancel_many: waiting -> canceled; in flight: the request is stored on the row, and the worker, `dialed`
-- and the sweep ask the provider until it agrees or the call ends. Such a call never goes back to waiting.
-- p_items: [{id, by, why?}].
-- Verdicts: canceled, requested (in flight), already_over, and those of pgdial.each.
--   select pgdial.cancel('0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90', 'the order was withdrawn');
--   select * from pgdial.cancel_many('[{"id": "0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90", "by": "ann"}]');
-- Index: primary key.
create or replace function pgdial.cancel_many(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
    return query select * from pgdial.each('cancel_one', p_items, p_wait);
end $$;

-- cancel_one: see each.
create or replace function pgdial.cancel_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
declare
    v_words constant jsonb := jsonb_build_object('by', p_item ->> 'by', 'why', p_item ->> 'why');
begin
    if p_call.state::text = 'waiting' then
        update pgdial.calls c
        set state = 'canceled', ended_at = p_now, outcome = 'canceled',
            last_error = coalesce(p_item ->> 'why', c.last_error)
        where c.id = p_call.id and c.state::text = 'waiting';
        perform pgdial.note(p_call, 'canceled', p_now, v_words);
        verdict := 'canceled';
    elsif p_call.state::text in ('dialing', 'unresolved', 'in_call') then
        update pgdial.calls c
        set cancel_requested_at = p_now, cancel_requested_by = p_item ->> 'by', cancel_requested_why = p_item ->> 'why'
        where c.id = p_call.id and c.claim_no = p_call.claim_no
          and c.state::text in ('dialing', 'unresolved', 'in_call') and c.cancel_requested_at is null;
        if found then
            perform pgdial.note(p_call, 'cancel_requested', p_now, v_words);
        end if;
        verdict := 'requested';
    else
        verdict := 'already_over';
        detail := jsonb_build_object('state', p_call.state);
    end if;
end $$;

create or replace function pgdial.cancel(p_id uuid, p_why text default null, p_by text default session_user)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_verdict text;
begin
    select c.verdict into v_verdict
    from pgdial.cancel_many(jsonb_build_array(jsonb_build_object('id', p_id, 'by', p_by, 'why', p_why)), true) c;
    if v_verdict = 'requested' then
        perform pgdial.wake('sweep');
    end if;
    return v_verdict;
end $$;
