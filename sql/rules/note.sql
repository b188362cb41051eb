-- note: append one event to a call's history, with the row's claim and attempt. plpgsql, although one
-- statement: a language sql function that writes is planned anew at each call.
create or replace function pgdial.note(
    p_call pgdial.calls, p_kind text, p_at timestamptz, p_detail jsonb default '{}'
) returns void
language plpgsql volatile
as $$
begin
    insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
    values (p_at, p_call.id, p_call.claim_no, p_call.attempt, p_kind, jsonb_strip_nulls(coalesce(p_detail, '{}')));
end $$;
