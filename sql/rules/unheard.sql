-- sweep_unheard: dials in doubt that their provider would have reported by now, if it had placed them: the
-- provider promises (reports_within) how soon it sends a first report of each call. They were not placed,
-- and wait again, the attempt not counted.
-- Silence alone proves nothing: perhaps the provider could not reach us. So it counts only if reports of
-- several other calls of the trunk were taken after the report was due, with a margin for redeliveries: at
-- least a minute, and at least as long as it took until the first of them came. All of this since the last
-- minute without any report: perhaps the provider could not reach us then.
-- Index: calls_in_flight, then each row's own events.
create or replace function pgdial.sweep_unheard(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_call pgdial.calls;
    v_n int := 0;
begin
    for v_call in
        select c.* from pgdial.calls c cross join lateral pgdial.dial_terms(c.trunk, c.account, c.provider_call_id) t
        where c.state = 'unresolved' and c.provider_call_id is null and pgdial.unheard_at(c, t.reports_within) <= p_now
          and pgdial.is_unheard(c, t.reports_within, p_now) and not pgdial.was_put_off(c.id, p_now)
        order by c.claimed_at limit p_limit for update of c skip locked
    loop
        begin
            perform pgdial.put_back(v_call, 'not_placed', null, jsonb_build_object(
                'why', 'its provider tells of every call that it places, and told only of others'), p_now);
        exception when integrity_constraint_violation or raise_exception or data_exception then
            perform pgdial.put_off(v_call, sqlerrm, p_now);
        end;
        v_n := v_n + 1;
    end loop;
    return v_n;
end $$;

-- unheard_at: the earliest moment at which silence about this dial in doubt may count. Null: never.
create or replace function pgdial.unheard_at(p_call pgdial.calls, p_within interval) returns timestamptz
language sql immutable
as $$ select coalesce(p_call.repeated_at, p_call.claimed_at) + p_within + '1 minute'::interval $$;

-- is_unheard: is there no report of this dial, and enough of others? A report without a reference in its URL may
-- name this dial in its body, or by the provider's id, which is not known here: while such a report of the trunk is
-- parked, it may be about this dial.
create or replace function pgdial.is_unheard(p_call pgdial.calls, p_within interval, p_now timestamptz) returns boolean
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    v_due constant timestamptz := pgdial.dial_ended_at(p_call) + p_within;
    v_since timestamptz;
    v_first timestamptz;
    v_others int;
begin
    if p_call.claimed_by = '00000000-0000-0000-0000-000000000000'   -- adopted by a recovery: its age is unknown
       or (select w.id from pgdial.webhook_events w
           where w.trunk = p_call.trunk and w.reference = p_call.id || '-' || p_call.claim_no limit 1) is not null
       or (select w.id from pgdial.webhook_events w
           where w.call_id = p_call.id and w.reference is not distinct from ''
             and pgdial.event_reference('', w.report) = p_call.id || '-' || p_call.claim_no limit 1) is not null
       or (select w.id from pgdial.webhook_events w
           where w.verdict = 'parked' and w.trunk = p_call.trunk and w.reference is not distinct from ''
             and w.received_at >= p_call.claimed_at limit 1) is not null then
        return false;
    end if;
    v_since := coalesce((
        select max(s) from generate_series(v_due, p_now - '1 minute'::interval, '30 seconds') s
        where (select w.id from pgdial.webhook_events w
               where w.trunk = p_call.trunk and w.received_at >= s and w.received_at < s + '1 minute'::interval
                 and w.verdict = 'applied' limit 1) is null), v_due);
    select min(h.received_at), count(distinct h.call_id) into v_first, v_others
    from (select w.received_at, w.call_id from pgdial.webhook_events w
          where w.trunk = p_call.trunk and w.received_at >= v_since and w.verdict = 'applied'
            -- Another account's reports prove nothing about this one's (is_its_account).
            and (p_call.account is null
                 or (select c.account from pgdial.calls c where c.id = w.call_id) = p_call.account)
          order by w.received_at limit 100) h;
    return v_others >= 3
       and p_now >= v_first + greatest('1 minute', v_first - coalesce(p_call.repeated_at, p_call.claimed_at));
end $$;

-- dial_ended_at: the latest moment at which the provider can have accepted this dial in doubt: when the doubt
-- was recorded, or when the time for its repeat was over.
create or replace function pgdial.dial_ended_at(p_call pgdial.calls) returns timestamptz
language plpgsql stable
as $$
begin
    return greatest(p_call.repeated_at + pgdial.lease(p_call), (
        select max(e.at) from pgdial.call_events e
        where e.call_id = p_call.id and e.claim_no = p_call.claim_no and e.kind = 'unresolved'), p_call.claimed_at);
end $$;
