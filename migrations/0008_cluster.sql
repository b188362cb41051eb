-- Where this database runs, so that one that was restored, copied, or taken over by a
-- standby is noticed before anybody is rung: commits may be missing from it.

create table pgdial.cluster (
    only_row boolean primary key default true check (only_row),
    system_identifier bigint not null,       -- of the server cluster; another one is a copy
    timeline text not null,                  -- another one: a promotion, or a restore in time
    synchronous boolean not null default false,
    noted_at timestamptz not null default pgdial.now()
);
comment on column pgdial.cluster.synchronous is
    'told by an operator: a standby that takes over has every commit, so a new timeline loses nothing';

insert into pgdial.cluster (system_identifier, timeline)
select s.system_identifier, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) from pg_control_system() s;
