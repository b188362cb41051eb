-- deliver: what this process is to send to endpoints now. For each endpoint that it may deliver to, it moves events from
-- the log to deliveries, and hands out what is due, signed.
-- p_sender: the process. p_in_flight: how many deliveries it has under way, by the endpoint's id. p_follow: whether to look
-- for new events too; a process that only has room for more need not, several times a second is enough.
-- Returns {due: [...], mine: how many endpoints it delivers to, others: how many others do, more: whether there is more to
-- move}.
--
-- One process delivers to an endpoint: its name is in endpoint_progress, with a lease by the database's clock while there
-- is work. So no more than 32 requests are under way there, an endpoint in trouble gets one at a time, and another
-- process takes over within seconds when this one dies. Not an advisory lock: that one lives as long as its session,
-- which a pool lends and gives up at will, and which a host that vanished may keep for hours.
-- What a process has sent when it is killed is due again after 30 s, with the same id: at least once.
-- In order: of a call's events only the first unfinished is pending (deliveries_in_order).
-- Cost: idle, one probe of the log, and two for each endpoint; nothing is written. Whoever settles a call waits for none
-- of this.
create or replace function pgdial.deliver(p_sender uuid, p_in_flight jsonb default '{}', p_follow boolean default true) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_endpoint pgdial.endpoints;
    v_newest text;
    v_part jsonb;
    v_due jsonb := '[]';
    v_mine int := 0;
    v_others int := 0;
    v_more boolean := false;
begin
    -- What a crash takes back is done again from the log.
    perform set_config('synchronous_commit', 'off', true);
    for v_endpoint in select e.* from pgdial.endpoints e where not e.paused order by e.id loop
        -- Here, so that a copy of the database, whose events are not to be followed, delivers nothing.
        if p_follow then
            v_newest := coalesce(v_newest, (select n.cursor from pgdial.events_after('now', 0) n));
        end if;
        begin
            v_part := pgdial.deliver_to(v_endpoint, p_sender, v_newest, coalesce((p_in_flight ->> v_endpoint.id::text)::int, 0), v_now);
        exception when others then
            -- One endpoint's trouble is not the others'.
            raise warning 'pgdial: nothing is delivered to endpoint %: %', v_endpoint.name, pgdial.masked(sqlerrm);
            v_part := jsonb_build_object('mine', true, 'more', false, 'due', '[]'::jsonb);
        end;
        v_mine := v_mine + (v_part -> 'mine')::boolean::int;
        v_others := v_others + (not (v_part -> 'mine')::boolean)::int;
        v_more := v_more or (v_part -> 'more')::boolean;
        v_due := v_due || (v_part -> 'due');
    end loop;
    return jsonb_build_object('due', v_due, 'mine', v_mine, 'others', v_others, 'more', v_more);
end $$;

-- deliver_to: the same for one endpoint. p_newest: the cursor of the newest event; null: do not follow. mine: this process
-- was the last to deliver there.
create or replace function pgdial.deliver_to(
    p_endpoint pgdial.endpoints, p_sender uuid, p_newest text, p_in_flight int, p_now timestamptz
) returns jsonb
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    c_lease constant interval := '5 seconds';
    v_progress pgdial.endpoint_progress;
    v_room int;
    v_is_over boolean;
    v_is_behind boolean;
    v_more boolean := false;
    v_due jsonb := '[]';
begin
    select p.* into v_progress from pgdial.endpoint_progress p where p.endpoint = p_endpoint.id;
    v_room := case when v_progress.held_until > p_now then 0
                   when v_progress.failures >= 5 then 1 else 32 end - p_in_flight;
    v_is_over := coalesce(v_progress.sender <> p_sender or v_progress.sender_until <= p_now + c_lease / 2, true);
    v_is_behind := coalesce(v_progress.cursor <> p_newest, false);
    if v_progress.sender <> p_sender and v_progress.sender_until > p_now
       or not (v_is_behind or p_in_flight > 0 and v_is_over or v_room > 0 and exists (
           select from pgdial.deliveries d
           where d.endpoint = p_endpoint.id and d.state = 'pending' and d.next_at <= p_now)) then
        return jsonb_build_object('mine', coalesce(v_progress.sender = p_sender, false), 'more', false, 'due', v_due);
    end if;
    v_progress := pgdial.lock_endpoint(p_endpoint.id, false);
    if v_progress.endpoint is null or v_progress.sender <> p_sender and v_progress.sender_until > p_now then
        return jsonb_build_object('mine', false, 'more', false, 'due', v_due);
    end if;
    if v_is_over then
        update pgdial.endpoint_progress p set sender = p_sender, sender_until = p_now + c_lease where p.endpoint = p_endpoint.id;
    end if;
    if v_is_behind then
        v_more := pgdial.follow_log(p_endpoint, v_progress.cursor, v_progress.unfinished, p_now);
    end if;
    if v_room > 0 then
        v_due := pgdial.take_due(p_endpoint, v_room, p_now);
    end if;
    return jsonb_build_object('mine', true, 'more', v_more, 'due', v_due);
end $$;

-- follow_log: make deliveries of the next events after the cursor, and move it. Returns whether there is more. The two
-- are one transaction, so no event is lost or made twice, wherever a process dies.
create or replace function pgdial.follow_log(p_endpoint pgdial.endpoints, p_cursor text, p_unfinished int, p_now timestamptz)
returns boolean
language plpgsql volatile
as $$
declare
    v_room constant int := least(500, pgdial.most_unfinished() - p_unfinished);
    v_events pgdial.deliverable[];
    v_next text;
    v_more boolean;
begin
    if v_room <= 0 then
        return false;
    end if;
    begin
        select array_agg(row(k.xid, k.seq, k.at, e.kind, e.call_id)::pgdial.deliverable)
                   filter (where e.kind <> 'heartbeat' and coalesce(e.campaign = any (p_endpoint.campaigns), p_endpoint.campaigns is null)),
               max(e.cursor) filter (where e.kind = 'heartbeat'), bool_or((e.detail ->> 'more')::boolean) filter (where e.kind = 'heartbeat')
        into v_events, v_next, v_more
        from pgdial.events_after(p_cursor, v_room, jsonb_build_object('kind', p_endpoint.kinds)) e,
             lateral pgdial.event_named((string_to_array(e.cursor, '-'))[4:6]) k;
    exception when sqlstate 'PDGON' or sqlstate 'PDMOV' then
        perform pgdial.pass_gap(p_endpoint, p_cursor, sqlstate, sqlerrm);
        return true;
    end;
    perform pgdial.add_deliveries(p_endpoint.id, v_events, p_now);
    update pgdial.endpoint_progress p set cursor = v_next where p.endpoint = p_endpoint.id;
    return v_more;
end $$;

-- pass_gap: the event of the cursor is gone: with its week (PDGON), or with commits that a failover lost (PDMOV). Go on
-- with the oldest event there is, or a little before the lost one. What is delivered twice has the same id.
create or replace function pgdial.pass_gap(p_endpoint pgdial.endpoints, p_cursor text, p_state text, p_why text) returns void
language plpgsql volatile
as $$
declare
    v_from constant text := case when p_state = 'PDGON' then 'start'
        else pgdial.instant((pgdial.event_named((string_to_array(p_cursor, '-'))[4:6])).at) end;
begin
    update pgdial.endpoint_progress p set cursor = e.cursor
    from pgdial.events_after(v_from, 0) e where p.endpoint = p_endpoint.id;
    perform pgdial.note_act('gap', 'endpoint', p_endpoint.name, 'pgdial', p_why);
end $$;

-- take_due: the deliveries that are due, signed; from now on under way. The attempt's number is what its result must
-- name.
create or replace function pgdial.take_due(p_endpoint pgdial.endpoints, p_room int, p_now timestamptz) returns jsonb
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    -- Longer than the process may take: it gives up earlier.
    c_lost constant interval := '30 seconds';
    v_at constant bigint := extract(epoch from p_now)::bigint;
    v_due jsonb;
begin
    with due as (
        select d.xid, d.seq from pgdial.deliveries d
        where d.endpoint = p_endpoint.id and d.state = 'pending' and d.next_at <= p_now
        order by d.next_at, d.xid, d.seq limit p_room
    ), sent as (
        update pgdial.deliveries d
        set attempts = d.attempts + 1, tries = d.tries + 1, sent_at = p_now, next_at = p_now + c_lost, body = coalesce(d.body, pgdial.delivery_body(d))
        from due where d.endpoint = p_endpoint.id and d.xid = due.xid and d.seq = due.seq
        returning d.xid, d.seq, d.attempts, d.body, pgdial.delivery_id(d) as id
    )
    select jsonb_agg(jsonb_build_object(
        'endpoint', p_endpoint.id, 'name', p_endpoint.name, 'url', p_endpoint.url, 'xid', s.xid::text, 'seq', s.seq,
        'attempt', s.attempts, 'id', s.id, 'signedAt', v_at, 'body', s.body,
        'signature', pgdial.sign_delivery(p_endpoint.id, s.id, v_at, s.body, p_now)) order by s.xid, s.seq)
    into v_due from sent s;
    return coalesce(v_due, '[]');
end $$;

-- deliver_no_more: this process stops; others need not wait for its lease.
create or replace function pgdial.deliver_no_more(p_sender uuid) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgdial.endpoint_progress p set sender = null, sender_until = null
    where p.endpoint in (select o.endpoint from pgdial.endpoint_progress o where o.sender = p_sender order by o.endpoint for update);
end $$;
