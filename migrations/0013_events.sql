-- Events in an order that never skips one that commits late: pgdial.events_after.

-- By (xid, seq), since everything below the oldest open writing transaction is final. In each
-- week and in the default partition; new weeks are made like the parent, with its indexes.
--
-- Why a btree: whoever follows asks four times a second for what is new at the end, and must not
-- read more than that. BRIN is no way out: xid8 has no operator class for it, and what is not
-- summarised yet, which is the end, is read whole. Appended at its right edge it costs 0.7 us
-- for each event (7.6 us without it, 8.3 us with it, 15 events in a transaction, Postgres 15):
-- 3 us for the four events of a call, about 1 % of what a call costs in the drain.
--
-- While it is built, writers of events wait: some 0.5 s for each million events kept. Where
-- that is too long, build it beforehand, which is then taken as it is, on each partition:
--     create index concurrently on pgdial.call_events_2026w47 (xid, seq);
set local statement_timeout = 0;
create index if not exists call_events_in_order on pgdial.call_events (xid, seq);
reset statement_timeout;

-- Restored from a dump, events bring the transaction numbers of another server: those stand
-- outside of the order. The stream begins with this seq.
alter table pgdial.cluster add column events_from bigint not null default 0;
update pgdial.cluster set events_from = nextval('pgdial.call_events_seq')
where exists (select from pgdial.call_events e where e.xid >= pg_snapshot_xmax(pg_current_snapshot()));

-- An event's place in that order, and when it was.
create type pgdial.event_cursor as (xid xid8, seq bigint, at timestamptz);
