-- Where a claim may begin to read what is in flight. An index keeps an entry for every call that
-- has ended until a vacuum removes it, and none can while somebody holds an old snapshot: a claim
-- that reads from the beginning becomes slower with each call. Claims come one after the other
-- (the gate), so a number that each takes from a sequence rises with time, and what was in flight
-- once and is still lies at or above the least of them: pgdial.in_flight_from.
-- What is not in flight, or came there by another way than a claim, stands above all of them and is always read.

alter table pgdial.calls add column claim_seq bigint not null default 9223372036854775807;
comment on column pgdial.calls.claim_seq is
    'which of all claims took it, while it is in flight; the highest number: none, or a claim of an older release';
create sequence pgdial.claim_order owned by pgdial.calls.claim_seq;   -- so that it changes hands with the table

-- In the place of calls_deadline: what is in flight is at most as much as there are slots, so
-- that the sweep reads all of it; no index more for each call to be written to.
create index calls_in_flight on pgdial.calls (claim_seq) where state in ('dialing', 'unresolved', 'in_call');
drop index pgdial.calls_deadline;

alter type pgdial.flying add attribute claim_seq bigint;

-- Inside the claim: they take other arguments now. A new database has none of them, and need
-- not be told.
set local client_min_messages = warning;
drop function if exists pgdial.stamp_all(uuid, pgdial.picked[], timestamptz);
drop function if exists pgdial.stamp_each(uuid, pgdial.picked[], timestamptz);
drop function if exists pgdial.passed_over(text, timestamptz);
reset client_min_messages;
