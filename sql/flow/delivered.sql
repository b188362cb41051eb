-- delivered: record how attempts to deliver ended. Each item: endpoint, xid, seq, attempt (the one that it is about),
-- ms, and status, or error if there was no response; response (its beginning), retry_after_sec.
-- Returns for each item delivered, retried, given_up, or stale: another attempt has begun since, or it is over.
-- 2xx is a success, and anything else a failure, which is tried again by the schedule that Standard Webhooks recommends:
-- ten times within three days. 410 pauses the endpoint. So do three days without any success: just before its first
-- event would be given up, so whoever mends the endpoint and resumes it gets them all. An event is given up only while
-- others get through: of an endpoint in trouble it is tried again.
-- Races: the endpoint is locked first, as by whoever else writes its deliveries; then the attempt is compared.
create or replace function pgdial.delivered(p_items jsonb) returns table (ordinal int, verdict text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_item record;
    v_verdicts text[] := '{}';
begin
    -- What a crash takes back is sent again, with the same id.
    perform set_config('synchronous_commit', 'off', true);
    for v_item in
        select i.n::int, t.* from jsonb_array_elements(p_items) with ordinality i (item, n),
             jsonb_to_record(i.item) t (endpoint bigint, xid text, seq bigint, attempt int, ms int, status int, error text,
                                        response text, retry_after_sec int)
        order by t.endpoint, i.n    -- endpoints in one order, so that two processes never deadlock
    loop
        v_verdicts[v_item.n] := pgdial.end_delivery(v_item.endpoint, v_item.xid::xid8, v_item.seq, v_item.attempt,
            v_item.status, v_item.retry_after_sec, jsonb_strip_nulls(jsonb_build_object(
                'ms', v_item.ms, 'status', v_item.status, 'error', v_item.error, 'response', v_item.response)));
    end loop;
    return query select n::int, v_verdicts[n] from generate_series(1, jsonb_array_length(p_items)) n;
end $$;

-- end_delivery: record one attempt. p_log: what the delivery log keeps of it. Returns its verdict.
create or replace function pgdial.end_delivery(
    p_endpoint bigint, p_xid xid8, p_seq bigint, p_attempt int, p_status int, p_retry_after int, p_log jsonb
) returns text
language plpgsql volatile
as $$
declare
    c_kept constant int := 20;
    v_progress constant pgdial.endpoint_progress := pgdial.lock_endpoint(p_endpoint, true);
    v_now constant timestamptz := pgdial.now();
    v_is_good constant boolean := coalesce(p_status between 200 and 299, false);
    v_asked constant interval := coalesce(p_retry_after, 0) * '1 second'::interval;
    v_delivery pgdial.deliveries;
    v_again interval;
    v_state text;
begin
    select d.* into v_delivery from pgdial.deliveries d
    where d.endpoint = p_endpoint and d.xid = p_xid and d.seq = p_seq and d.state = 'pending' and d.attempts = p_attempt
      and d.sent_at is not null
    for update;
    if not found or v_progress.endpoint is null then
        return 'stale';
    end if;
    v_again := pgdial.delivery_delay(v_delivery.tries, v_progress.failures >= 4);
    v_state := case when v_is_good then 'delivered' when v_again is null then 'given_up' else 'pending' end;
    update pgdial.deliveries d
    set state = v_state, ended_at = case when v_state <> 'pending' then v_now end, sent_at = null,
        next_at = case when v_state = 'pending' then v_now + greatest(v_again, v_asked) else v_now end,
        log = case when jsonb_array_length(d.log) >= c_kept then d.log - 0 else d.log end
              || jsonb_build_array(jsonb_build_object('at', pgdial.instant(v_delivery.sent_at)) || p_log)
    where d.endpoint = p_endpoint and d.xid = p_xid and d.seq = p_seq;
    if v_state <> 'pending' then
        update pgdial.endpoint_progress p set unfinished = p.unfinished - 1 where p.endpoint = p_endpoint;
        perform pgdial.first_of_call(p_endpoint, v_delivery.call_id, v_now);
    end if;
    if v_is_good then
        perform pgdial.endpoint_works(v_progress, v_now);
    else
        perform pgdial.endpoint_fails(v_progress, p_status, v_asked, p_log, v_now);
    end if;
    return case v_state when 'pending' then 'retried' else v_state end;
end $$;

-- delivery_delay: from a failed attempt to the next; null: it was the last, unless it may be the endpoint's fault
-- (p_in_trouble). Up to a fifth longer, at random, so that what failed together is not tried again together.
create or replace function pgdial.delivery_delay(p_tries int, p_in_trouble boolean) returns interval
language sql volatile
as $$
    select (array['5 seconds', '5 minutes', '30 minutes', '2 hours', '5 hours', '10 hours', '14 hours', '20 hours',
                  '24 hours']::interval[])[case when p_in_trouble then least(p_tries, 9) else p_tries end] * (1 + random() / 5)
$$;

-- endpoint_works: a success ends its troubles. What had to wait because of them need not wait longer.
create or replace function pgdial.endpoint_works(p_progress pgdial.endpoint_progress, p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    update pgdial.endpoint_progress p
    set delivered_at = p_now, failures = 0, failing_since = null, held_until = null
    where p.endpoint = p_progress.endpoint;
    if p_progress.failures >= 5 then
        perform pgdial.deliver_at_once(p_progress.endpoint, p_now);
    end if;
end $$;

-- endpoint_fails: from the fifth failure in a row on it gets one request at a time, after 5 s doubling to 5 min. One that
-- says that it is overloaded gets none for as long as it asks.
create or replace function pgdial.endpoint_fails(
    p_progress pgdial.endpoint_progress, p_status int, p_asked interval, p_log jsonb, p_now timestamptz
) returns void
language plpgsql volatile
as $$
declare
    c_patience constant interval := '3 days';
    v_in_a_row constant int := p_progress.failures + 1;
    v_since constant timestamptz := coalesce(p_progress.failing_since, p_now);
    v_words constant text := coalesce(p_log ->> 'error', format('HTTP %s', p_status));
    v_hold constant interval := greatest(
        case when v_in_a_row >= 5 then least('5 seconds'::interval * power(2, least(v_in_a_row - 5, 10)), '5 minutes') * (1 + random() / 5) end,
        case when p_status in (429, 502, 503, 504) then greatest(p_asked, '5 seconds') end);
begin
    update pgdial.endpoint_progress p
    set failures = v_in_a_row, failing_since = v_since, last_error = v_words, held_until = greatest(p.held_until, p_now + v_hold)
    where p.endpoint = p_progress.endpoint;
    if p_status = 410 or v_since <= p_now - c_patience then
        update pgdial.endpoints e
        set paused = true, paused_at = p_now, paused_by = 'pgdial', paused_why = case
            when p_status = 410 then 'HTTP 410: it is to get no more'
            else format('nothing has been delivered for %s: %s', extract(day from p_now - v_since) || ' days', v_words) end
        -- Whoever changes an endpoint locks it before its progress, the other way round than here. So this does
        -- not wait: the next failure comes soon.
        where e.id = (select o.id from pgdial.endpoints o where o.id = p_progress.endpoint and not o.paused
                      for update skip locked);
    end if;
end $$;
