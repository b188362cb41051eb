-- cancel: waiting -> canceled; in flight: the wish is written on the row, durably, and
-- the worker, `dialed` and the sweep ask the provider until it agrees or the call ends.
-- Such a call never goes back to waiting.
-- p_items: [{id, by, why?}].  Verdicts: canceled, requested (in flight), already_over,
-- locked_out, refused (a constraint or a trigger says no: detail.why), not_found.
-- Index: primary key.
create or replace function pgdial.cancel_many(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_item record;
    v_call pgdial.calls;
    v_now timestamptz;
    v_words jsonb;
begin
    for v_item in select * from pgdial.locked_items(p_items, p_wait) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := '{}';
        if verdict is null then
            begin
                v_words := jsonb_build_object('by', v_item.item ->> 'by', 'why', v_item.item ->> 'why');
                select c.* into v_call from pgdial.calls c where c.id = v_item.id;
                if v_call.state::text = 'waiting' then
                    update pgdial.calls c
                    set state = 'canceled', ended_at = v_now, outcome = 'canceled',
                        last_error = coalesce(v_item.item ->> 'why', c.last_error)
                    where c.id = v_item.id and c.state::text = 'waiting';
                    perform pgdial.note(v_call, 'canceled', v_now, v_words);
                    verdict := 'canceled';
                elsif v_call.state::text in ('dialing', 'unresolved', 'in_call') then
                    update pgdial.calls c
                    set cancel_requested_at = v_now, cancel_requested_by = v_item.item ->> 'by',
                        cancel_requested_why = v_item.item ->> 'why'
                    where c.id = v_item.id and c.claim_no = v_call.claim_no
                      and c.state::text in ('dialing', 'unresolved', 'in_call') and c.cancel_requested_at is null;
                    if found then
                        perform pgdial.note(v_call, 'cancel_requested', v_now, v_words);
                    end if;
                    verdict := 'requested';
                else
                    verdict := 'already_over';
                    detail := jsonb_build_object('state', v_call.state);
                end if;
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';   -- this one alone: the others go on
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;

-- cancel: one call, for SQL. Answers the verdict.
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
