-- cluster_changed: null while the database runs where that was last noted; else a sentence
-- that says how it differs. Then commits may be missing from it, claims whose dials ring
-- among them, so nothing is dialled until `recover` has looked (lanes).
-- What the server cannot say differs from nothing; what it has said before, and is not allowed to say
-- any longer, does: whoever copies a database must not pass by a guard that is shut.
-- A copy of the files that is started as it is looks the same, and so does a disk put back
-- from a snapshot: those must be told by hand.
create or replace function pgdial.cluster_changed() returns text
language plpgsql stable
as $$
begin
    return (select case
        when k.system_identifier <> p.system_identifier or k.database <> p.database then
            'the database is a copy, was restored, or went through pg_upgrade: it was noted on another server, or under another name'
        when k.timeline <> p.timeline and not k.synchronous then
            format('a standby has taken over, or the database was restored (timeline %s, before %s)', p.timeline, k.timeline)
        when p.withheld and (p.system_identifier is null and k.system_identifier is not null
                             or p.timeline is null and k.timeline is not null and not pg_is_in_recovery()) then
            format('the database may no longer ask where it runs (%s): %s', p.untold,
                   'grant execute on that function to the owner of the schema pgdial, or go on without it by `pgdial recover`')
        end
    from pgdial.cluster k, pgdial.place() p);
end $$;

-- place: where the database runs, whoever asks, as the owner may know it. What a server that somebody else manages withholds is null, with the
-- reason in untold; withheld: because a right is missing.
-- pg_walfile_name, not pg_control_checkpoint: a promotion shows there at once, not with the
-- next checkpoint. A standby that people read from cannot say (null), and dials nothing.
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

-- note_place: this is where the database runs; what is missing from it was looked into.
create or replace function pgdial.note_place() returns void
language sql volatile
as $$
    insert into pgdial.cluster as k (system_identifier, database, timeline, noted_at, seen_at)
    select p.system_identifier, p.database, p.timeline, n.now, n.now
    from pgdial.place() p, (select pgdial.now() as now) n
    on conflict (only_row) do update
    -- In another database transactions are counted anew: those of older events mean nothing here.
    set events_from = case when (k.system_identifier, k.database) is not distinct from (excluded.system_identifier, excluded.database)
                           then k.events_from else nextval('pgdial.call_events_seq') end,
        system_identifier = excluded.system_identifier, database = excluded.database, timeline = excluded.timeline,
        noted_at = excluded.noted_at, seen_at = excluded.seen_at, lost_since = null
$$;

-- raise_sequences: no number that a row has is given again. Logical replication brings the rows of
-- another server and leaves the sequences where they were.
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
        -- Of the newest: a transaction that began before them may have drawn a later number.
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

-- longest_call: from the request to the last moment at which a call of this campaign is up;
-- null = of any campaign.
create or replace function pgdial.longest_call(p_campaign text default null) returns interval
language sql stable
as $$
    select coalesce((select max(g.ring_timeout + g.max_duration) from pgdial.campaigns g
                     where g.name = coalesce((select k.name from pgdial.campaigns k where k.name = p_campaign), g.name)),
                    '31 minutes') + '2 minutes'::interval
$$;
