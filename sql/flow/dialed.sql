-- dialed: dialing, unresolved -> in_call: the provider has accepted the dial.
-- p_items: [{id, claim_no, provider_call_id}].
-- Verdicts: in_call, stale (another claim, or it has ended already), locked_out, refused
-- (a constraint or a trigger says no: detail.why), not_found.
-- detail.cancel: somebody wishes the call ended: ask the provider. detail.freed: a parked
-- event has ended it at once, or it has closed the trunk's breaker: others may dial.
-- Races: an early webhook may have set the provider's id, taken the call to in_call (then
-- the id is stored all the same: a cancel needs it), or ended it, before us; another id
-- than the one already known is a conflict: kept as an event, not applied.
-- Index: primary key.
create or replace function pgdial.dialed(p_items jsonb)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_item record;
    v_call pgdial.calls;
    v_now timestamptz;
    v_id text;
begin
    for v_item in select * from pgdial.locked_items(p_items) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := '{}';
        if verdict is null then
            begin
                v_id := v_item.item ->> 'provider_call_id';
                select c.* into v_call from pgdial.calls c where c.id = v_item.id;
                if v_call.claim_no = (v_item.item ->> 'claim_no')::bigint and v_call.provider_call_id <> v_id then
                    perform pgdial.note(v_call, 'conflict', v_now, jsonb_build_object(
                        'provider_call_id', v_id, 'why', 'the provider answered with another id than its webhook'));
                    detail := jsonb_build_object('conflict', true);
                end if;
                if v_call.claim_no = (v_item.item ->> 'claim_no')::bigint
                   and v_call.state::text in ('dialing', 'unresolved', 'in_call') then
                    update pgdial.calls c
                    set state = 'in_call', lease_until = null, provider_call_id = coalesce(c.provider_call_id, v_id)
                    where c.id = v_item.id and c.claim_no = v_call.claim_no
                      and c.state::text in ('dialing', 'unresolved', 'in_call');
                    if v_call.state::text <> 'in_call' then   -- else a webhook was faster, and has noted it
                        perform pgdial.note(v_call, 'in_call', v_now, jsonb_build_object('provider_call_id', v_id));
                    end if;
                    perform pgdial.apply_parked(v_call, v_id, v_now);
                    detail := detail || jsonb_build_object('freed',
                        pgdial.breaker_works(v_call.trunk) or not pgdial.is_taking(v_call.id, v_now));
                    verdict := 'in_call';
                else
                    verdict := 'stale';
                end if;
                detail := detail || jsonb_build_object(
                    'cancel', verdict = 'in_call' and v_call.cancel_requested_at is not null);
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';   -- this one alone: the others go on
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;
