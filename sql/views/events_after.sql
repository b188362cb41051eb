-- events_after: what happened after a cursor, for programs that follow the events; nothing is ever skipped, and
-- nothing is repeated from one cursor to the next.
--   select * from pgdial.events_after('now', 0);       -- the last row's cursor: keep it
--   select * from pgdial.events_after('start', 500, '{"kind": ["completed", "failed"]}');
-- p_cursor: that of the last row seen; null or 'start' (the oldest event kept), 'now', or an instant, as in
-- 2026-01-02T03:04:05Z: from there on, with a few events from before it.
-- p_limit: maximum rows, 0 to 10,000; about 1 MiB of them.
-- p_filter: kind (a word or a list), campaign, trunk, call (its id).
-- The last row is always a `heartbeat`: its cursor is where to continue, even if the filter matched nothing;
-- its detail says whether there is more (more), how long the oldest withheld event has waited (lagMs), and for
-- whose open transaction (heldBy).
-- state: the call's present state. After retention has deleted it, a call has no number, campaign or state.
-- Errors: 22023 (cursor, limit or filter is invalid), PDGON (the cursor is older than what is kept), PDMOV (it
-- belongs to another database, or to a history that this one has lost).
--
-- Why not by seq: numbers are drawn before the commit, so a lower one may appear later. Ordered by (xid, seq),
-- and only below the oldest transaction still open in this database, everything is final. The price: one open
-- writing transaction holds back everything after it.
-- Cost: call_events_pkey, and the primary key of calls for each row. With a filter at most 10,000 events are
-- visited; with a call, only that call's.
-- Races: every statement here sees at least what the horizon saw: the horizon is taken first.
create or replace function pgdial.events_after(p_cursor text, p_limit int default 500, p_filter jsonb default '{}')
returns table (cursor text, at timestamptz, kind text, call_id uuid, reference text, claim_no bigint, attempt int,
               campaign text, trunk text, phone text, state text, outcome text, detail jsonb)
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
#variable_conflict use_column
declare
    c_looked constant int := 10000;     -- maximum events visited per call
    c_bytes constant int := 1048576;
    v_horizon constant record := pgdial.events_horizon();
    v_place constant text := pgdial.event_place();
    v_from constant bigint := coalesce((select k.events_from from pgdial.cluster k), 0);
    v_after pgdial.event_cursor := pgdial.read_event_cursor(p_cursor, v_place, v_from, v_horizon.below);
    v_kinds constant text[] := pgdial.event_filter(p_filter);
    v_campaign constant text := p_filter ->> 'campaign';
    v_trunk constant text := p_filter ->> 'trunk';
    v_call constant uuid := (p_filter ->> 'call')::uuid;
    v_is_filtered constant boolean := v_kinds is not null or v_campaign is not null or v_trunk is not null;
    v_event record;
    v_rows int := 0;
    v_looked int := 0;
    v_bytes int := 0;
    v_limit int := p_limit;
    v_more boolean := false;
    v_events refcursor;
begin
    if p_limit is null or p_limit not between 0 and c_looked then
        raise exception 'the limit is 0 to 10000' using errcode = 'invalid_parameter_value';
    end if;
    -- One extra row shows whether there is more.
    if v_call is not null then
        open v_events for
            select e.xid, e.seq, e.at, e.kind, e.call_id, e.claim_no, e.attempt, e.detail,
                   c.campaign, case when c.numbers is null or e.claim_no = 0 then c.phone else pgdial.dialled(c, e.claim_no) end as phone,
                   c.state, case when e.claim_no > 0 then coalesce(
                       e.detail ->> 'trunk', pgdial.trunk_of_claim(c, e.call_id, e.claim_no)) end as trunk
            from pgdial.call_events e left join pgdial.calls c on c.id = e.call_id
            where e.call_id = v_call and (e.xid, e.seq) > (v_after.xid, v_after.seq) and e.xid < v_horizon.below
              and e.seq >= v_from
            order by e.xid, e.seq limit c_looked + 1;
    else
        open v_events for
            select e.xid, e.seq, e.at, e.kind, e.call_id, e.claim_no, e.attempt, e.detail,
                   c.campaign, case when c.numbers is null or e.claim_no = 0 then c.phone else pgdial.dialled(c, e.claim_no) end as phone,
                   c.state, case when e.claim_no > 0 then coalesce(
                       e.detail ->> 'trunk', pgdial.trunk_of_claim(c, e.call_id, e.claim_no)) end as trunk
            from pgdial.call_events e left join pgdial.calls c on c.id = e.call_id
            where (e.xid, e.seq) > (v_after.xid, v_after.seq) and e.xid < v_horizon.below and e.seq >= v_from
            order by e.xid, e.seq limit case when v_is_filtered then c_looked else p_limit end + 1;
    end if;
    loop
        fetch v_events into v_event;
        exit when not found;
        v_more := v_rows >= p_limit or v_looked >= c_looked or v_bytes >= c_bytes;
        exit when v_more;
        v_looked := v_looked + 1;
        v_after := (v_event.xid, v_event.seq, v_event.at);
        continue when v_kinds is not null and v_event.kind <> all (v_kinds)
            or v_campaign is not null and v_event.campaign is distinct from v_campaign
            or v_trunk is not null and v_event.trunk is distinct from v_trunk;
        v_rows := v_rows + 1;
        v_bytes := v_bytes + octet_length(v_event.detail::text);
        return query values (
            pgdial.write_event_cursor(v_after, v_place), v_event.at, v_event.kind, v_event.call_id,
            case when v_event.claim_no > 0 then v_event.call_id || '-' || v_event.claim_no end,
            v_event.claim_no, v_event.attempt, v_event.campaign, v_event.trunk, v_event.phone, v_event.state::text,
            v_event.detail ->> 'outcome', v_event.detail);
    end loop;
    close v_events;
    if v_call is not null and not v_more then
        -- All of the call's events were seen: no need to scan the others' again.
        v_after := coalesce(pgdial.newest_event(v_horizon.below, v_from), v_after);
    end if;
    return query values (
        pgdial.write_event_cursor(v_after, v_place), pgdial.now(), 'heartbeat', null::uuid, null, null::bigint, null::int,
        null, null, null, null, null, jsonb_build_object(
            'more', v_more, 'lagMs', pgdial.events_withheld_ms(v_horizon.below, v_from),
            'heldBy', case when v_horizon.pid is not null or v_horizon.application_name is not null then
                jsonb_build_object('pid', v_horizon.pid, 'applicationName', v_horizon.application_name,
                                   'since', v_horizon.since) end));
end $$;

-- trunk_of_claim: the trunk of a claim. The row has that of its latest claim, until it waits again.
create or replace function pgdial.trunk_of_claim(p_call pgdial.calls, p_id uuid, p_claim_no bigint) returns text
language plpgsql stable
as $$
begin
    if p_call.claim_no = p_claim_no and p_call.trunk is not null then
        return p_call.trunk;
    end if;
    return (select e.detail ->> 'trunk' from pgdial.call_events e
            where e.call_id = p_id and e.claim_no = p_claim_no and e.kind = 'active' order by e.seq limit 1);
end $$;

-- events_horizon: below this transaction everything has ended. Also what holds it up: a session, or a prepared
-- transaction, by name; null if no transaction is open. Transactions of other databases of the server draw from
-- the same numbers, but write nothing here. One that is in the snapshot but no longer in the activity has ended
-- since: its database is unknown, so it counts, and the next call does without it.
-- since: null for logins that may not see the sessions of others (pg_read_all_stats).
create or replace function pgdial.events_horizon(
    out below xid8, out pid int, out application_name text, out since timestamptz)
language plpgsql volatile
set plan_cache_mode = force_generic_plan
as $$
declare
    v_snapshot pg_snapshot := pg_current_snapshot();
    v_lowest xid8;
    v_is_there boolean;
begin
    if pg_is_in_recovery() then
        -- A standby's snapshot lists no open transactions.
        below := pg_snapshot_xmin(v_snapshot);
        return;
    end if;
    for v_look in 1..3 loop
        v_snapshot := pg_current_snapshot();
        -- Session statistics are read once per transaction, unless cleared.
        perform pg_stat_clear_snapshot();
        select x.xid, a.pid is not null or p.gid is not null into v_lowest, v_is_there
        from pg_snapshot_xip(v_snapshot) x (xid)
             left join pg_stat_activity a on a.backend_xid = x.xid::xid
             left join pg_prepared_xacts p on p.transaction = x.xid::xid
        where coalesce(a.datname, p.database, current_database()) = current_database()
        order by x.xid limit 1;
        exit when v_lowest is null or v_is_there;
    end loop;
    -- Transactions that began after the last one that ended are not in the list: they are at its end, or
    -- beyond.
    below := least(pg_current_xact_id_if_assigned(), coalesce(v_lowest, pg_snapshot_xmax(v_snapshot)));
    select h.pid, h.name, h.since into pid, application_name, since
    from (select a.pid, a.application_name as name, a.xact_start as since
          from pg_stat_activity a where a.backend_xid = below::xid and a.datname = current_database()
          union all
          select null, 'prepared transaction ' || p.gid, p.prepared
          from pg_prepared_xacts p where p.transaction = below::xid and p.database = current_database()) h
    limit 1;
end $$;

-- events_withheld_ms: how long the oldest withheld event has been committed; 0: none is withheld.
create or replace function pgdial.events_withheld_ms(p_below xid8, p_from bigint) returns bigint
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
begin
    return coalesce((
        select greatest(0, extract(epoch from (select pgdial.now()) - e.at) * 1000)::bigint
        from pgdial.call_events e where e.xid >= p_below and e.seq >= p_from
        order by e.xid, e.seq limit 1), 0);
end $$;

-- newest_event: the last event that is final; null: there is none.
create or replace function pgdial.newest_event(p_below xid8, p_from bigint) returns pgdial.event_cursor
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
begin
    return (select row(e.xid, e.seq, e.at)::pgdial.event_cursor from pgdial.call_events e
            where e.xid < p_below and e.seq >= p_from order by e.xid desc, e.seq desc limit 1);
end $$;

-- event_place: where cursors are valid: which database of which server, and its timeline.
create or replace function pgdial.event_place() returns text
language plpgsql volatile
as $$
declare
    v_moved boolean;
    v_place text;
begin
    select k.system_identifier <> p.system_identifier or k.database <> p.database,
           to_hex(hashtext(concat(p.system_identifier, '/', p.database))) || '-' || coalesce(ltrim(p.timeline, '0'), '')
    into v_moved, v_place
    from pgdial.place() p left join pgdial.cluster k on true;
    if v_moved then
        raise exception 'the database is a copy, or was restored: its events cannot be followed before "pgdial recover"'
            using errcode = 'PDMOV';
    end if;
    return v_place;
end $$;

-- write_event_cursor: a cursor as text: 1-PLACE-TIMELINE-XID-SEQ-AT, in hex.
create or replace function pgdial.write_event_cursor(p_cursor pgdial.event_cursor, p_place text) returns text
language sql stable
as $$
    select '1-' || p_place || '-' || to_hex(p_cursor.xid::text::bigint) || '-' || to_hex(p_cursor.seq) || '-'
           || to_hex((extract(epoch from p_cursor.at) * 1000000)::bigint)
$$;

-- read_event_cursor: parse a cursor, and check that everything after it is still here. A cursor names an event,
-- so a missing event reveals a loss: it was dropped with its week, or the database was restored to a time
-- before it.
create or replace function pgdial.read_event_cursor(p_cursor text, p_place text, p_from bigint, p_below xid8)
returns pgdial.event_cursor
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set timezone = 'UTC'
as $$
declare
    c_again constant text := 'begin again, with "start", "now" or an instant';
    v_parts text[] := regexp_match(p_cursor, '^1-([0-9a-f]{1,8})-([0-9A-F]{0,8})-([0-9a-f]{1,15})-([0-9a-f]{1,15})-([0-9a-f]{1,15})$');
    v_found pgdial.event_cursor;
    v_oldest timestamptz;
begin
    if p_cursor is null or p_cursor = 'start' then
        return ('0'::xid8, 0::bigint, pgdial.now())::pgdial.event_cursor;
    elsif p_cursor = 'now' then
        return coalesce(pgdial.newest_event(p_below, p_from), ('0'::xid8, 0::bigint, pgdial.now())::pgdial.event_cursor);
    elsif p_cursor ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}' then
        begin
            return pgdial.events_at(p_cursor::timestamptz, p_from, p_below);
        exception when data_exception then
            null;
        end;
    elsif v_parts is not null then
        v_found := pgdial.event_named(v_parts[3:5]);
        if v_parts[1] <> split_part(p_place, '-', 1) then
            raise exception 'the cursor is of another database, or of this one before it was restored: %', c_again
                using errcode = 'PDMOV';
        end if;
        if exists (select from pgdial.call_events e
                   where e.xid = v_found.xid and e.seq = v_found.seq and e.at = v_found.at) then
            return v_found;
        end if;
        if v_parts[2] <> split_part(p_place, '-', 2) then
            raise exception 'the event that the cursor names was lost in a restore or a failover: %', c_again
                using errcode = 'PDMOV';
        end if;
        select min(to_date(substr(k.relname, 13), 'IYYY"w"IW')::timestamp at time zone 'UTC') into v_oldest
        from pg_inherits i join pg_class k on k.oid = i.inhrelid
        where i.inhparent = 'pgdial.call_events'::regclass and k.relname ~ '^call_events_[0-9]{4}w[0-9]{2}$';
        if v_found.at < v_oldest then
            raise exception 'the cursor is older than the events that are kept, which begin with %: %',
                to_char(v_oldest, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), c_again using errcode = 'PDGON';
        end if;
        -- There was no event yet when it was made, or its event was erased: its week exists, and so does
        -- everything after it.
        return v_found;
    end if;
    raise exception 'not a cursor: give one back as it was, or "start", "now", or an instant as in 2026-01-02T03:04:05Z'
        using errcode = 'invalid_parameter_value';
end $$;

-- event_named: the event whose xid, seq and instant are written like this, as in a cursor.
create or replace function pgdial.event_named(p_parts text[]) returns pgdial.event_cursor
language sql stable
as $$
    select row(pgdial.from_hex(p_parts[1])::text::xid8, pgdial.from_hex(p_parts[2]),
               timestamptz 'epoch' + pgdial.from_hex(p_parts[3]) * '1 microsecond'::interval)::pgdial.event_cursor
$$;

-- from_hex: the number that these hex digits are.
create or replace function pgdial.from_hex(p_text text) returns bigint
language sql immutable parallel safe
as $$ select ('x' || lpad(p_text, 16, '0'))::bit(64)::bigint $$;

-- events_at: a position before every event of this instant or later, except those of transactions that were
-- open for longer than a minute. Bisects the range of transactions, along which time rises except for small
-- steps: at most 64 index probes.
create or replace function pgdial.events_at(p_at timestamptz, p_from bigint, p_below xid8) returns pgdial.event_cursor
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
declare
    v_low bigint := 0;
    v_high bigint := p_below::text::bigint;
    v_middle bigint;
    v_found pgdial.event_cursor;
    v_best pgdial.event_cursor := ('0'::xid8, 0::bigint, pgdial.now())::pgdial.event_cursor;
begin
    while v_low < v_high loop
        v_middle := v_low + (v_high - v_low) / 2;
        select e.xid, e.seq, e.at into v_found from pgdial.call_events e
        where e.xid >= v_middle::text::xid8 and e.xid < v_high::text::xid8 and e.seq >= p_from
        order by e.xid, e.seq limit 1;
        if v_found.at < p_at - '1 minute'::interval then
            v_best := v_found;
            v_low := v_found.xid::text::bigint + 1;
        else
            v_high := v_middle;
        end if;
    end loop;
    return v_best;
end $$;

-- event_filter: the kinds of a filter, null for all; refuses an invalid filter.
create or replace function pgdial.event_filter(p_filter jsonb) returns text[]
language plpgsql immutable
as $$
declare
    v_name text;
begin
    if p_filter is null or jsonb_typeof(p_filter) <> 'object' then
        raise exception 'the filter is a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    for v_name in select jsonb_object_keys(p_filter) loop
        if v_name not in ('kind', 'campaign', 'trunk', 'call') then
            raise exception 'a filter has no "%": known are kind, campaign, trunk and call', v_name
                using errcode = 'invalid_parameter_value';
        end if;
    end loop;
    if jsonb_typeof(p_filter -> 'kind') not in ('array', 'string') then
        raise exception '"kind" of a filter is a word, or a list of words' using errcode = 'invalid_parameter_value';
    end if;
    return case jsonb_typeof(p_filter -> 'kind')
        when 'array' then array(select jsonb_array_elements_text(p_filter -> 'kind'))
        when 'string' then array[p_filter ->> 'kind'] end;
end $$;
