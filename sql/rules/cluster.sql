-- cluster_changed: null while the database runs where that was last noted; else a sentence that says how it
-- differs. Then commits may be missing, including claims whose dials ring, so nothing is dialled until
-- `recover` has looked (lanes).
-- A value that the server has never revealed matches anything; one that it revealed before and now withholds
-- counts as a change, so that copying a database cannot bypass the check.
-- A copy of the files that is started as it is looks the same, and so does a disk restored from a snapshot: the
-- operator must report those.
-- Where a session runs does not change while it lives, except for the timeline of a standby, and what it may know about
-- that, by a grant. So a session that saw everything remembers it for a second, and compares it with what is noted now.
create or replace function pgdial.cluster_changed() returns text
language plpgsql stable
as $$
declare
    -- In which second, and what.
    v_here constant text[] := string_to_array(current_setting('pgdial.here', true), ' ');
    v_second constant bigint := extract(epoch from clock_timestamp())::bigint;    -- real time, which sessions live in
    v_place record;
begin
    -- What is not noted is missing in the text, which then equals no place.
    if v_here[1]::bigint = v_second
       and v_here[2] = (select concat_ws('/', k.system_identifier, k.database, k.timeline) from pgdial.cluster k) then
        return null;
    end if;
    select p.* into v_place from pgdial.place() p;
    if v_place.timeline is not null and v_place.untold is null then
        perform set_config('pgdial.here', v_second || ' '
            || concat_ws('/', v_place.system_identifier, v_place.database, v_place.timeline), false);
    end if;
    return (select case
        when k.system_identifier <> v_place.system_identifier or k.database <> v_place.database then
            'the database is a copy, was restored, or went through pg_upgrade: it was noted on another server, or under another name'
        when k.timeline <> v_place.timeline and not k.synchronous then
            format('a standby has taken over, or the database was restored (timeline %s, before %s)', v_place.timeline, k.timeline)
        when v_place.withheld and (v_place.system_identifier is null and k.system_identifier is not null
                             or v_place.timeline is null and k.timeline is not null and not pg_is_in_recovery()) then
            format('the database may no longer ask where it runs (%s): %s', v_place.untold,
                   'grant execute on that function to the owner of the schema pgdial, or go on without it by `pgdial recover`')
        end
    from pgdial.cluster k);
end $$;

-- place: where the database runs, as its owner can see it, whoever calls this. What a managed server withholds
-- is null, with the reason in untold; withheld: because a privilege is missing.
-- pg_walfile_name, not pg_control_checkpoint: it shows a promotion at once, not after the next checkpoint. A
-- read-only standby cannot tell (null), and dials nothing.
create or replace function pgdial.place(
    out system_identifier bigint, out database oid, out timeline text, out untold text, out withheld boolean
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    withheld := false;
    select d.oid into database from pg_database d where d.datname = current_database();
    begin
        select s.system_identifier into system_identifier from pg_control_system() s;
    exception when others then
        untold := sqlerrm;
        withheld := sqlstate = '42501';
    end;
    begin
        if not pg_is_in_recovery() then
            timeline := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
        end if;
    exception when others then
        untold := concat_ws('; ', untold, sqlerrm);
        withheld := withheld or sqlstate = '42501';
    end;
end $$;

-- note_place: record that the database runs here, after a recovery has looked into what may be missing.
create or replace function pgdial.note_place() returns void
language sql volatile
as $$
    insert into pgdial.cluster as k (system_identifier, database, timeline, noted_at, seen_at)
    select p.system_identifier, p.database, p.timeline, n.now, n.now
    from pgdial.place() p, (select pgdial.now() as now) n
    on conflict (only_row) do update
    -- Another database counts transactions anew: those of older events mean nothing in it.
    set events_from = case when (k.system_identifier, k.database) is not distinct from (excluded.system_identifier, excluded.database)
                           then k.events_from else nextval('pgdial.call_events_seq') end,
        system_identifier = excluded.system_identifier, database = excluded.database, timeline = excluded.timeline,
        noted_at = excluded.noted_at, seen_at = excluded.seen_at, lost_since = null
$$;

-- raise_sequences: ensure that no number already in a row is drawn again. Logical replication copies the rows
-- of another server, but not the positions of its sequences.
create or replace function pgdial.raise_sequences() returns void
language plpgsql volatile
as $$
declare
    v_sequence record;
begin
    for v_sequence in
        select 'pgdial.claim_order' as name, (select max(c.claim_seq) from pgdial.calls c
            where c.state in ('dialing', 'unresolved', 'in_call') and c.claim_seq < 9223372036854775807) as least
        union all select pg_get_serial_sequence('pgdial.webhook_events', 'id'), (select max(w.id) from pgdial.webhook_events w)
        union all select pg_get_serial_sequence('pgdial.acts', 'seq'), (select max(a.seq) from pgdial.acts a)
        union all select pg_get_serial_sequence('pgdial.schema_history', 'seq'), (select max(h.seq) from pgdial.schema_history h)
        -- Of the newest rows: a transaction that began before them may have drawn a later number.
        union all select 'pgdial.call_events_seq', (select max(e.seq) + 100000 from (
            select o.seq from pgdial.call_events o order by o.xid desc, o.seq desc limit 1000) e
            where e.seq > coalesce(pg_sequence_last_value('pgdial.call_events_seq'), 0))
    loop
        if v_sequence.least > coalesce(pg_sequence_last_value(v_sequence.name::regclass), 0) then
            perform setval(v_sequence.name::regclass, v_sequence.least);
        end if;
    end loop;
end $$;

-- claim_floor: claims up to this one may have been lost, each with a dial.
create or replace function pgdial.claim_floor() returns bigint
language plpgsql stable
as $$
begin
    return coalesce((select k.claim_floor from pgdial.cluster k), 0);
end $$;

-- longest_told: the longest limits that the provider may have been told with a lost claim of this campaign; if
-- there is no such campaign, of any.
create or replace function pgdial.longest_told(
    p_campaign text, out ring_timeout_sec int, out max_duration_sec int
)
language sql stable
as $$
    select coalesce(extract(epoch from max(g.ring_timeout))::int, 60), coalesce(extract(epoch from max(g.max_duration))::int, 1800)
    from pgdial.campaigns g
    where g.name = coalesce((select k.name from pgdial.campaigns k where k.name = p_campaign), g.name)
$$;

-- longest_call: from the request to the last moment at which a call of this campaign can be up; null = of any
-- campaign.
create or replace function pgdial.longest_call(p_campaign text default null) returns interval
language sql stable
as $$
    select (t.ring_timeout_sec + t.max_duration_sec) * '1 second'::interval + '2 minutes'::interval
    from pgdial.longest_told(p_campaign) t
$$;
