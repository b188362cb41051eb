-- amend: waiting -> waiting, with other scriptId, metadata, priority, runAt, expiresAt or
-- maxAttempts (not below the attempts used). Never the number or the campaign: cancel
-- the call and enqueue another.
-- p_items: [{id, by, changes}], changes as in PATCH /calls/{id}; null clears expiresAt.
-- Verdicts: amended, not_waiting, invalid (detail.problem says what to do), locked_out,
-- refused (a constraint or a trigger says no: detail.why), not_found.
-- Index: primary key.
create or replace function pgdial.amend_many(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_item record;
    v_call pgdial.calls;
    v_changes jsonb;
    v_new record;
    v_problem text;
    v_fixed constant text[] := array['to', 'region', 'campaign', 'from', 'idempotencyKey'];
    v_now timestamptz;
begin
    for v_item in select * from pgdial.locked_items(p_items, p_wait) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := '{}';
        if verdict is null then
            begin
                select c.* into v_call from pgdial.calls c where c.id = v_item.id;
                v_changes := v_item.item -> 'changes';
                if jsonb_typeof(v_changes) is distinct from 'object' then
                    v_changes := '{"changes": "not an object"}';   -- an unknown field, and so refused
                end if;
                -- Read as a request with its times, so that the limits, and how they belong together,
                -- stand in one place. To any number: its own may have been possible only when it
                -- was taken.
                select * into v_new from pgdial.read_request(
                    jsonb_build_object('to', '+14155550100', 'scriptId', v_call.script_id, 'expiresAt', v_call.expires_at)
                    || case when v_changes ? 'expiresAt' then jsonb_build_object('runAt', v_call.run_at) else '{}' end
                    || (v_changes - v_fixed));
                v_problem := case
                    when v_changes ?| v_fixed then format(
                        '%s cannot be changed: cancel the call and enqueue another',
                        (select string_agg(format('"%s"', f), ', ') from unnest(v_fixed) f where v_changes ? f))
                    when v_new.problem is not null then v_new.problem
                    when v_new.max_attempts < v_call.attempt then
                        format('"maxAttempts" cannot be below the %s attempts already used', v_call.attempt)
                    when v_new.expires_at <= v_now then '"expiresAt" lies in the past: cancel the call instead' end;
                if v_call.state::text <> 'waiting' then
                    verdict := 'not_waiting';
                    detail := jsonb_build_object('state', v_call.state);
                elsif v_problem is not null then
                    verdict := 'invalid';
                    detail := jsonb_build_object('problem', v_problem);
                else
                    update pgdial.calls c
                    set script_id = v_new.script_id,
                        metadata = case when v_changes ? 'metadata' then v_new.metadata else c.metadata end,
                        priority = case when v_changes ? 'priority' then v_new.priority else c.priority end,
                        -- A held number stays held: the retry of an unexplained dial never comes forward.
                        run_at = greatest(coalesce(v_new.run_at, c.run_at), c.hold_until),
                        expires_at = case when v_changes ? 'expiresAt' then v_new.expires_at else c.expires_at end,
                        max_attempts = coalesce(v_new.max_attempts, c.max_attempts)
                    where c.id = v_item.id and c.state::text = 'waiting';
                    perform pgdial.note(v_call, 'amended', v_now, jsonb_build_object(
                        'by', v_item.item ->> 'by', 'changes', v_changes - 'metadata'));
                    verdict := 'amended';
                end if;
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';   -- this one alone: the others go on
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;
