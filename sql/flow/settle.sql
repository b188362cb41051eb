-- settle: an attempt in flight ends: completed, waiting again (retried), failed or canceled.
-- p_items: [{id, claim_no, outcome, why?}]. The worker's way for a dial that was
-- certainly refused; webhooks come through webhook.sql. Both end in end_attempt.
-- A fault counts for the trunk's breaker; while that is open no attempt is used up.
-- Verdicts: completed, retried, failed, canceled, suppressed, deferred (breaker), stale,
-- locked_out, refused (a constraint or a trigger says no: detail.why), not_found.
-- Races: a webhook, the sweep; the first writer wins by claim_no and state. A refusal of a dial
-- that a webhook has taken to in_call is stale: it is at the provider, whatever its answer
-- said, and its number would be free while it rings. The same when its request was sent
-- again meanwhile: that one may ring.
-- Index: primary key.
create or replace function pgdial.settle(p_items jsonb)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_item record;
    v_call pgdial.calls;
    v_now timestamptz;
begin
    for v_item in select * from pgdial.locked_items(p_items) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := null;
        if verdict is null then
            begin
                select c.* into v_call from pgdial.calls c
                where c.id = v_item.id and c.claim_no = (v_item.item ->> 'claim_no')::bigint
                  and c.state::text in ('dialing', 'unresolved', 'in_call') and c.repeated_at is null;
                if not found then
                    verdict := 'stale';
                elsif v_call.state = 'in_call'
                      and v_item.item ->> 'outcome' in ('provider_fault', 'blocked', 'invalid_number') then
                    verdict := 'stale';
                elsif v_item.item ->> 'outcome' <> 'provider_fault' then
                    perform pgdial.breaker_works(v_call.trunk);
                elsif pgdial.breaker_fault(v_call.trunk, v_item.item ->> 'why', v_now) then
                    -- The provider is down, not the call: its attempts are kept for when it is back.
                    verdict := pgdial.put_back(v_call, 'fault', null,
                        jsonb_build_object('why', v_item.item ->> 'why'), v_now);
                end if;
                verdict := coalesce(verdict, pgdial.end_attempt(
                    v_call, (v_item.item ->> 'outcome')::pgdial.outcome,
                    jsonb_build_object('why', v_item.item ->> 'why'), null, v_now));
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';   -- this one alone: the others go on
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;
