-- What the verbs need to work on many rows in one statement.

-- How one attempt ends, decided and not yet written: what decide_ending answers and
-- end_attempts writes, for many rows in one statement.
create type pgdial.ending as (
    id uuid,
    claim_no bigint,
    attempt int,
    provider_call_id text,
    verdict text,               -- retried, or the terminal state
    outcome pgdial.outcome,
    hold_until timestamptz,     -- the number stays taken until then
    run_at timestamptz,         -- of the next attempt
    detail jsonb,               -- for the event
    result jsonb                -- for the row
);

-- One item of a verb about a dial. is_first: no item before it names the same dial.
create type pgdial.dial_item as (ordinal int, item jsonb, id uuid, claim_no bigint, is_first boolean);

-- One call that a claim has brought: what its dial needs.
create type pgdial.claimed as (
    id uuid, claim_no bigint, attempt int, phone text, from_number text, script_id text, metadata jsonb,
    trunk text, campaign text, lease_until timestamptz, ring_timeout_sec int, max_duration_sec int
);

-- One call in flight: what the caps and the taken numbers rest on.
create type pgdial.flying as (trunk text, campaign text, phone text);

-- The first waiting call of a campaign and priority, by run_at: where the claim begins to read.
create type pgdial.head as (campaign text, priority smallint, run_at timestamptz);

-- Inside the claim: they answer other types now, or take other arguments. A new database has
-- none of them, and need not be told.
set local client_min_messages = warning;
drop function if exists pgdial.stamp(uuid, pgdial.picked[], timestamptz);
drop function if exists pgdial.stamp_all(uuid, pgdial.picked[], timestamptz);
drop function if exists pgdial.pick(text[], int, timestamptz);
drop function if exists pgdial.pick_from(text, text, int, text[], timestamptz);
drop function if exists pgdial.next_due(text[], timestamptz);
drop function if exists pgdial.waiting_campaigns();
reset client_min_messages;
