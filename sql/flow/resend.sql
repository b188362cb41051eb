-- resend: deliver an event to an endpoint once more, or for the first time, with the same id; ahead of later events of
-- its call. Verdicts: resent, pending (it was on its way, and is due at once), unknown_event (no such event is kept),
-- not_found (no such endpoint).
--   select pgdial.resend('crm', 'evt_2a7_51_64b0c2f1a2b3c', 'it lost the first one');
create or replace function pgdial.resend(p_endpoint text, p_id text, p_why text default null, p_by text default session_user)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_endpoint constant bigint := (select e.id from pgdial.endpoints e where e.name = p_endpoint);
    v_event constant pgdial.event_cursor := pgdial.delivered_event(p_id);
    v_now timestamptz;
    v_verdict text;
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    perform pgdial.lock_endpoint(v_endpoint, true);
    v_now := pgdial.now();
    if v_endpoint is null then
        return 'not_found';
    end if;
    v_verdict := pgdial.requeue(v_endpoint, v_event, v_now);
    if v_verdict is null and pgdial.add_deliveries(v_endpoint, array(
            select row(e.xid, e.seq, e.at, e.kind, e.call_id)::pgdial.deliverable from pgdial.call_events e
            where e.xid = v_event.xid and e.seq = v_event.seq and e.at = v_event.at), v_now) = 1 then
        v_verdict := 'resent';
    end if;
    if v_verdict = 'resent' then
        perform pgdial.first_of_call(v_endpoint, d.call_id, v_now) from pgdial.deliveries d
        where d.endpoint = v_endpoint and d.xid = v_event.xid and d.seq = v_event.seq;
        perform pgdial.note_act('resend', 'endpoint', p_endpoint, p_by, p_why, jsonb_build_object('event', p_id));
    end if;
    return coalesce(v_verdict, 'unknown_event');
end $$;

-- resend_span: the same for the endpoint's events from p_from until before p_until, in batches.
-- p_only: all, or given_up. p_cursor: that of the batch before. p_limit: events in a batch.
-- Returns {events: how many are delivered once more, cursor: for the next batch, null after the last, full: it has so many
-- unfinished that the rest has to wait}; null: there is no such endpoint.
create or replace function pgdial.resend_span(
    p_endpoint text, p_from timestamptz, p_until timestamptz, p_only text default 'all', p_cursor text default null,
    p_limit int default 1000, p_why text default null, p_by text default session_user
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_endpoint pgdial.endpoints;
    v_now timestamptz;
    v_event record;
    v_unfinished int;
    v_n int := 0;
    v_next text;
begin
    perform pgdial.refuse(pgdial.why_faults(p_why) || array_remove(array[
        case when p_from is null then '"from" is missing: the instant of the first event' end,
        case when p_until is null then '"until" is missing: the instant before which the last event was' end,
        case when p_until <= p_from then '"until" must be later than "from"' end,
        case when p_only not in ('all', 'given_up') then '"only" must be all or given_up' end,
        case when coalesce(p_limit, 0) not between 1 and 5000 then '"limit" must be a whole number from 1 to 5000' end], null));
    select e.* into v_endpoint from pgdial.endpoints e where e.name = p_endpoint;
    if v_endpoint.id is null then
        return null;
    end if;
    v_unfinished := (pgdial.lock_endpoint(v_endpoint.id, true)).unfinished;
    v_now := pgdial.now();
    if v_unfinished > pgdial.most_unfinished() - p_limit then
        return jsonb_build_object('events', 0, 'cursor', p_cursor, 'full', true);
    end if;
    for v_event in
        select e.cursor, e.kind, e.call_id, e.at, e.detail, k.xid, k.seq,
               coalesce(e.campaign = any (v_endpoint.campaigns), v_endpoint.campaigns is null) as is_its,
               (select d.state from pgdial.deliveries d where d.endpoint = v_endpoint.id and d.xid = k.xid and d.seq = k.seq) as state
        from pgdial.events_after(coalesce(p_cursor, pgdial.instant(p_from)), p_limit, jsonb_build_object('kind', v_endpoint.kinds)) e,
             lateral pgdial.event_named((string_to_array(e.cursor, '-'))[4:6]) k
    loop
        v_next := case when v_event.kind = 'heartbeat' and (v_event.detail -> 'more')::boolean then v_event.cursor end;
        -- An instant as a cursor begins a little early.
        continue when v_event.kind = 'heartbeat' or not v_event.is_its or v_event.at < p_from or v_event.at >= p_until
            or p_only = 'given_up' and v_event.state is distinct from 'given_up';
        if coalesce(pgdial.requeue(v_endpoint.id, (v_event.xid, v_event.seq, v_event.at)::pgdial.event_cursor, v_now), 'resent') = 'resent' then
            perform pgdial.add_deliveries(v_endpoint.id, array[
                row(v_event.xid, v_event.seq, v_event.at, v_event.kind, v_event.call_id)::pgdial.deliverable], v_now);
            perform pgdial.first_of_call(v_endpoint.id, v_event.call_id, v_now);
            v_n := v_n + 1;
        end if;
    end loop;
    -- Events of one transaction have one instant, and later ones a later one: past the end by a minute, none is left.
    if exists (select from pgdial.event_named((string_to_array(v_next, '-'))[4:6]) k where k.at >= p_until + '1 minute'::interval) then
        v_next := null;
    end if;
    if v_n > 0 then
        perform pgdial.note_act('resend', 'endpoint', p_endpoint, p_by, p_why, jsonb_build_object(
            'from', p_from, 'until', p_until, 'only', p_only, 'events', v_n));
    end if;
    return jsonb_build_object('events', v_n, 'cursor', v_next, 'full', false);
end $$;

-- requeue: a delivery that is over begins anew, once it is its turn (first_of_call); one that is unfinished is due. Null:
-- there is none. The caller holds the endpoint.
create or replace function pgdial.requeue(p_endpoint bigint, p_event pgdial.event_cursor, p_now timestamptz) returns text
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_delivery pgdial.deliveries;
begin
    select d.* into v_delivery from pgdial.deliveries d
    where d.endpoint = p_endpoint and d.xid = p_event.xid and d.seq = p_event.seq for update;
    if not found then
        return null;
    elsif v_delivery.ended_at is null then
        update pgdial.deliveries d set next_at = p_now
        where d.endpoint = p_endpoint and d.xid = p_event.xid and d.seq = p_event.seq and d.sent_at is null;
        return 'pending';
    end if;
    update pgdial.deliveries d
    set tries = 0, next_at = p_now, ended_at = null, state = case when d.call_id is null then 'pending' else 'queued' end
    where d.endpoint = p_endpoint and d.xid = p_event.xid and d.seq = p_event.seq;
    update pgdial.endpoint_progress p set unfinished = p.unfinished + 1 where p.endpoint = p_endpoint;
    return 'resent';
end $$;
