-- enqueue_and_claim: enqueue_many, then claim, with one commit: what a worker that rests does with the requests of its own
-- process.
-- Returns the rows of both: those of a claim; and of requests with the verdict enqueued, and ordinal, request (the
-- verdict of enqueue_many), call and detail.
-- The requests are answered whatever becomes of the claim: what goes wrong in it undoes it alone, and the gate is tried,
-- not waited for (gate_timeout). A claim that failed says so: the caller claims again, and hears why.
create or replace function pgdial.enqueue_and_claim(
    p_owners text[], p_requests jsonb, p_worker uuid, p_trunks text[], p_wanted int, p_most int[] default null,
    p_accounts text[] default null, p_leases int[] default null
)
returns table (
    verdict text, wait_ms bigint, id uuid, claim_no bigint, attempt int, phone text, from_number text, script_id text,
    metadata jsonb, trunk text, campaign text, lease_until timestamptz, ring_timeout_sec int, max_duration_sec int,
    due_ms bigint, traceparent text, answering_machine text, ordinal int, request text, call uuid, detail text
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    for ordinal, request, call, detail in
        select e.ordinal, e.verdict, e.id, e.detail from pgdial.enqueue_many(p_owners, p_requests, false, true) e
    loop
        verdict := 'enqueued';
        return next;
    end loop;
    ordinal := null;
    request := null;
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
