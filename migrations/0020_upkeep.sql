-- What the database needs as people have it: a key for each event, so that the history can be
-- changed while it is published; a place that need not be told whole; what became of each step
-- of housekeeping.

-- A table without a key can be updated and deleted from by nobody once a publication has it.
-- The order of events (0013) is one, with the partition's key behind it, so that no index is
-- added. New weeks are made like the parent, with its key.
--
-- While it is built, writers of events wait: some seconds for each million events kept. Where that
-- is too long, build it beforehand on each partition, which is then taken as it is:
--     create unique index concurrently on pgdial.call_events_2026w47 (xid, seq, at);
--     alter table pgdial.call_events_2026w47 add primary key using index call_events_2026w47_xid_seq_at_idx;
set local statement_timeout = 0;
alter table pgdial.call_events add constraint call_events_pkey primary key (xid, seq, at);
drop index pgdial.call_events_in_order;
reset statement_timeout;

-- Servers that somebody else manages withhold one or the other. Null: it could not be told.
alter table pgdial.cluster
    alter column system_identifier drop not null,
    alter column timeline drop not null;

-- One row for each step of housekeeping, in the order in which they are done (pgdial.housekeeping).
create table pgdial.housekeeping_steps (
    step text primary key,
    ordinal int not null unique,
    done_at timestamptz,                  -- when it last succeeded
    failed_at timestamptz,                -- when it last failed
    failures int not null default 0,      -- in a row, since it last succeeded
    error text                            -- what it said when it last failed
) with (fillfactor = 50);
comment on table pgdial.housekeeping_steps is 'what became of each step of housekeeping, which workers do once a minute';
-- Partitions last: their locks end with the transaction.
insert into pgdial.housekeeping_steps (step, ordinal) values
    ('refresh_statistics', 1), ('forget_workers', 2), ('forget_rest', 3), ('drop_acts', 4),
    ('ensure_partitions', 5), ('drop_partitions', 6);

-- They answer more, or take more arguments. A new database has none of them, and need not be told.
set local client_min_messages = warning;
drop function if exists pgdial.housekeeping(interval);
drop function if exists pgdial.ensure_partitions(timestamptz, int);
drop function if exists pgdial.drop_partitions(timestamptz, interval);
drop function if exists pgdial.place();
reset client_min_messages;
