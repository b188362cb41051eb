-- claim_with: another verb, then claim, with one commit: what a worker that rests does with the requests to its own
-- process, and with the ends of dials that free a slot.
-- p_verb: enqueue (enqueue_many, whose p_owners are given), webhook or settle. p_items: what that verb takes.
-- Returns the rows of both. Those of the items have their ordinal, with the verb's verdict (word), call and detail; the
-- others are those of a claim.
-- What the items ask for is done whatever becomes of the claim: what goes wrong in it undoes it alone, and the gate is
-- tried, not waited for (gate_timeout). A claim that failed says so: the caller claims again, and hears why.
-- Races: the rows of the items stay locked during the claim, which waits for none: it skips those that are locked.
create or replace function pgdial.claim_with(
    p_verb text, p_owners text[], p_items jsonb, p_worker uuid, p_trunks text[], p_wanted int, p_most int[] default null,
    p_accounts text[] default null, p_leases int[] default null
)
returns table (
    verdict text, wait_ms bigint, id uuid, claim_no bigint, attempt int, phone text, from_number text, script_id text,
    metadata jsonb, trunk text, campaign text, lease_until timestamptz, ring_timeout_sec int, max_duration_sec int,
    due_ms bigint, traceparent text, answering_machine text, ordinal int, word text, call uuid, detail text
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    case p_verb     -- any other is an error
    when 'enqueue' then
        for ordinal, word, call, detail in
            select e.ordinal, e.verdict, e.id, e.detail from pgdial.enqueue_many(p_owners, p_items, false, true) e
        loop
            return next;
        end loop;
    when 'webhook' then
        for ordinal, word, detail in select w.ordinal, w.verdict, w.detail from pgdial.webhook(p_items) w loop
            return next;
        end loop;
    when 'settle' then
        for ordinal, word, detail in select s.ordinal, s.verdict, s.detail from pgdial.settle(p_items) s loop
            return next;
        end loop;
    end case;
    ordinal := null;
    word := null;
    call := null;
    detail := null;
    begin
        return query select c.*, null::int, null::text, null::uuid, null::text
                     from pgdial.claim(p_worker, p_trunks, p_wanted, p_most, p_accounts, p_leases, false) c;
    exception when others then
        verdict := 'failed';
        detail := pgdial.masked(sqlerrm);
        return next;
    end;
end $$;
