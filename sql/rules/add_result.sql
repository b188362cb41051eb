-- add_result: a report that comes after the end (an analysis, a recording, a cost) adds its fields to the
-- result of its attempt, and to the call's if that attempt is the latest; and its disposition, also where that
-- follows from the fields it added. The later value wins, but null
-- removes nothing; an end that contradicts the recorded one only fills in missing fields. Progress is older
-- than the end, so it adds nothing.
-- The caller holds the row's lock. p_claim_no: the claim that the report is about.
-- True: something was added. Bounded: 20 times per call, and the size of a result.
create or replace function pgdial.add_result(
    p_call pgdial.calls, p_claim_no bigint, p_report jsonb, p_detail jsonb, p_now timestamptz
) returns boolean
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_largest constant int := 131072;
    v_new jsonb := coalesce(pgdial.report_result(p_report), '{}');
    v_is_odd boolean;
    v_attempt record;
    v_had jsonb;
    v_merged jsonb;
    v_disposed boolean;
begin
    if p_claim_no = p_call.claim_no and p_call.state::text in ('dialing', 'unresolved', 'in_call')
       or p_report ->> 'kind' not in ('ended', 'unknown', 'unparsable')
       or jsonb_typeof(v_new) is distinct from 'object' or v_new = '{}' and not p_report ? 'disposition' then
        return false;
    end if;
    select a.attempt, a.outcome, a.result into v_attempt from pgdial.attempts a
    where a.call_id = p_call.id and a.claim_no = p_claim_no
      and a.ended_as in ('completed', 'retried', 'failed', 'canceled', 'expired');
    if not found then
        return false;
    end if;

    v_had := coalesce(v_attempt.result, '{}');
    v_is_odd := p_report ->> 'kind' = 'ended' and p_report ->> 'outcome' is distinct from v_attempt.outcome;
    v_merged := case when v_is_odd then pgdial.merged(v_new, v_had) else pgdial.merged(v_had, v_new) end;
    if octet_length(v_merged::text) > v_largest then
        -- Only its small values.
        select coalesce(jsonb_object_agg(n.key, n.value), '{}') into v_new from jsonb_each(v_new) n
        where octet_length(n.value::text) <= 1024;
        v_merged := case when v_is_odd then pgdial.merged(v_new, v_had) else pgdial.merged(v_had, v_new) end;
    end if;
    v_disposed := pgdial.dispose_late(p_call, p_claim_no, p_detail || pgdial.report_said(p_report), v_merged, p_now);
    if v_merged = v_had or octet_length(v_merged::text) > v_largest
       or (select count(*) from pgdial.call_events e where e.call_id = p_call.id and e.kind = 'result_added') >= 20 then
        return v_disposed;
    end if;

    update pgdial.calls c set result = v_merged
    where c.id = p_call.id and c.claim_no = p_claim_no
      and c.state::text not in ('dialing', 'unresolved', 'in_call');
    perform pgdial.note_cost(p_call.id, p_claim_no, v_merged);
    p_call.claim_no := p_claim_no;
    p_call.attempt := v_attempt.attempt;
    perform pgdial.note(p_call, 'result_added', p_now, p_detail - 'why' || jsonb_build_object('result', (
        select jsonb_object_agg(m.key, m.value) from jsonb_each(v_merged) m
        where v_had -> m.key is distinct from m.value)));
    return true;
end $$;

-- merged: a deep merge of two objects. The second wins, unless it is null.
create or replace function pgdial.merged(p_one jsonb, p_other jsonb) returns jsonb
language plpgsql immutable
as $$
begin
    if jsonb_typeof(p_one) = 'object' and jsonb_typeof(p_other) = 'object' then
        return (select coalesce(jsonb_object_agg(key, pgdial.merged(o.value, t.value)), '{}')
                from jsonb_each(p_one) o full join jsonb_each(p_other) t using (key));
    end if;
    return coalesce(nullif(p_other, 'null'), p_one, p_other);
end $$;
