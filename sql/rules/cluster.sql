-- cluster_changed: null while the database runs where it ran when that was last noted;
-- else a sentence that says how it differs. Then commits may be missing from it, a claim
-- among them whose dial rings, so nothing is dialled until `recover` has looked (lanes).
-- pg_walfile_name, not pg_control_checkpoint: a promotion shows there at once, not with the
-- next checkpoint.
create or replace function pgdial.cluster_changed() returns text
language sql stable
as $$
    select case
        when k.system_identifier <> s.system_identifier then
            'the database runs on another server than before: it is a copy, or was restored'
        when k.timeline <> w.timeline and not k.synchronous then
            format('a standby has taken over, or the database was restored (timeline %s, before %s)', w.timeline, k.timeline)
        end
    from pgdial.cluster k, pg_control_system() s,
         -- A standby that people read from cannot say, and dials nothing.
         lateral (select case when pg_is_in_recovery() then k.timeline
                              else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end) as w (timeline)
$$;
