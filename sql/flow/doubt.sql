-- doubt: dialing -> unresolved: the dial may have reached the provider, nobody knows.
-- It keeps its slot and its number, and is never dialled again blindly: its webhook,
-- or its deadline, ends it.
-- p_items: [{id, claim_no, why}].  Verdicts: unresolved, stale, locked_out, refused (a
-- constraint or a trigger says no: detail.why), not_found.
-- Races: an early webhook may already have moved it on (stale); the sweep does the
-- same to rows whose lease is over.  Index: primary key.
create or replace function pgdial.doubt(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_item record;
    v_call pgdial.calls;
    v_now timestamptz;
begin
    for v_item in select * from pgdial.locked_items(p_items, p_wait) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := null;
        if verdict is null then
            begin
                update pgdial.calls c
                set state = 'unresolved', lease_until = null, last_error = v_item.item ->> 'why'
                where c.id = v_item.id and c.claim_no = (v_item.item ->> 'claim_no')::bigint
                  and c.state::text = 'dialing'
                returning c.* into v_call;
                if found then
                    perform pgdial.weigh(v_call, 'fault', v_item.item ->> 'why', null, v_now);
                    perform pgdial.note(v_call, 'unresolved', v_now, jsonb_build_object('why', v_item.item ->> 'why'));
                    verdict := 'unresolved';
                else
                    verdict := 'stale';
                end if;
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';   -- this one alone: the others go on
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;
