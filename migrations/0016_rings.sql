-- What a call keeps of its dials, whatever becomes of its campaign or of its attempts.

-- What the provider was told with the latest claim, which stamps it; before the first they mean
-- nothing. An earlier claim's stand in its active event.
alter table pgdial.calls
    add column ring_timeout_sec int not null default 60,
    add column max_duration_sec int not null default 1800;
update pgdial.calls c
set ring_timeout_sec = extract(epoch from g.ring_timeout)::int, max_duration_sec = extract(epoch from g.max_duration)::int
from pgdial.campaigns g
where g.name = c.campaign and (c.state in ('dialing', 'unresolved', 'in_call') or c.hold_until is not null);

-- answered_at is of the time since the call was enqueued, or redriven, and ends all retries: a
-- waiting call has none (calls_waiting_holds_nothing). Two facts outlive a redrive:
alter table pgdial.calls
    add column answered_before timestamptz,     -- somebody answered it, before it was redriven with force
    add column forced_claim_no bigint;          -- with force: what claims up to this one came to is known, and rings no bell
comment on column pgdial.calls.answered_before is
    'somebody answered this call before it was redriven with force: without force nothing rings them again';
comment on column pgdial.calls.forced_claim_no is
    'the latest claim before a redrive with force: what is reported of it, or of earlier ones, does not end the call';

-- Which account at the provider a dial was sent to. The trunk's name stays when its address changes.
alter table pgdial.calls add column account text;
comment on column pgdial.calls.account is
    'where the latest claim dials: adapter, host and a digest; no other account is asked about it';
alter table pgdial.workers add column accounts text[];     -- of its trunks, in their order

alter type pgdial.ending add attribute answered_at timestamptz;     -- somebody answered, and since when that is known

-- They take other arguments. A new database has none of them, and need not be told.
set local client_min_messages = warning;
drop function if exists pgdial.judge(pgdial.call_state, bigint, boolean, bigint, text);
drop function if exists pgdial.complete_late(pgdial.calls, text, jsonb, jsonb, timestamptz);
drop function if exists pgdial.end_hold(pgdial.calls, bigint, jsonb, jsonb, timestamptz);
drop function if exists pgdial.dial_order(pgdial.calls, interval, interval, timestamptz);
drop function if exists pgdial.claim_due(uuid, text[], int);
drop function if exists pgdial.claim_due(uuid, text[], int, int[]);
drop function if exists pgdial.stamp_all(uuid, pgdial.picked[], bigint, timestamptz);
drop function if exists pgdial.stamp_each(uuid, pgdial.picked[], bigint, timestamptz);
drop function if exists pgdial.look_ups_due(text[], int);
drop function if exists pgdial.look_ups_due(text[], int[]);
drop function if exists pgdial.repeats_due(text[], int[]);
drop function if exists pgdial.repeatable(text[], int[], timestamptz);
drop function if exists pgdial.repeats_due(text[], int);
drop function if exists pgdial.repeatable(text[], timestamptz);
drop function if exists pgdial.sweep(text[], interval, int);
reset client_min_messages;
