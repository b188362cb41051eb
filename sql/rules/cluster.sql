-- cluster_changed: null while the database runs where that was last noted; else a sentence
-- that says how it differs. Then commits may be missing from it, claims whose dials ring
-- among them, so nothing is dialled until `recover` has looked (lanes).
-- A copy of the files that is started as it is looks the same, and so does a disk put back
-- from a snapshot: those must be told by hand.
create or replace function pgdial.cluster_changed() returns text
language plpgsql stable
as $$
begin
    return (select case
        when k.system_identifier <> p.system_identifier or k.database <> p.database then
            'the database is a copy, or was restored: it was noted on another server, or under another name'
        when k.timeline <> p.timeline and not k.synchronous then
            format('a standby has taken over, or the database was restored (timeline %s, before %s)', p.timeline, k.timeline)
        end
    from pgdial.cluster k, pgdial.place() p);
end $$;

-- place: where the database runs.
-- pg_walfile_name, not pg_control_checkpoint: a promotion shows there at once, not with the
-- next checkpoint. A standby that people read from cannot say (null), and dials nothing.
create or replace function pgdial.place(out system_identifier bigint, out database oid, out timeline text)
language plpgsql stable
as $$
begin
    select s.system_identifier, d.oid,
           case when not pg_is_in_recovery() then substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end
    into system_identifier, database, timeline
    from pg_control_system() s, pg_database d where d.datname = current_database();
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
    set events_from = case when (k.system_identifier, k.database) = (excluded.system_identifier, excluded.database)
                           then k.events_from else nextval('pgdial.call_events_seq') end,
        system_identifier = excluded.system_identifier, database = excluded.database, timeline = excluded.timeline,
        noted_at = excluded.noted_at, seen_at = excluded.seen_at, lost_since = null
$$;

-- claim_floor: claims up to this one may have been lost, each with a dial.
create or replace function pgdial.claim_floor() returns bigint
language plpgsql stable
as $$
begin
    return coalesce((select k.claim_floor from pgdial.cluster k), 0);
end $$;

-- longest_told: what the provider was told at most with a claim of this campaign that was lost; where
-- there is no such campaign, with one of any.
create or replace function pgdial.longest_told(
    p_campaign text, out ring_timeout_sec int, out max_duration_sec int
)
language sql stable
as $$
    select coalesce(extract(epoch from max(g.ring_timeout))::int, 60), coalesce(extract(epoch from max(g.max_duration))::int, 1800)
    from pgdial.campaigns g
    where g.name = coalesce((select k.name from pgdial.campaigns k where k.name = p_campaign), g.name)
$$;

-- longest_call: from the request to the last moment at which a call of this campaign is up;
-- null = of any campaign.
create or replace function pgdial.longest_call(p_campaign text default null) returns interval
language sql stable
as $$
    select (t.ring_timeout_sec + t.max_duration_sec) * '1 second'::interval + '2 minutes'::interval
    from pgdial.longest_told(p_campaign) t
$$;
