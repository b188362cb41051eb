-- What the parts of one verb pass to each other. None of these types is stored.

-- What lanes() returns: one campaign, and whether it may dial now.
create type pgdial.lane as (
    campaign text,
    trunk text,
    weight int,
    in_flight int,              -- of the campaign
    room int,                   -- how many calls it may have claimed now
    trunk_room int,             -- the same for its whole trunk
    reason text,                -- why room is 0
    opens_at timestamptz,       -- when it opens by time alone
    reasons text[]              -- every reason why room is 0, in the order in which they must change
);

-- One call that the claim has chosen and locked. numbers: all of the person, or null.
create type pgdial.picked as (id uuid, phone text, campaign text, trunk text, numbers text[]);

-- How one attempt ends, decided and not yet written: decide_ending returns it, end_attempts writes it, for many
-- rows in one statement.
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
    result jsonb,               -- for the row
    answered_at timestamptz,    -- somebody answered, and since when that is known
    disposition text,
    callback_at timestamptz,    -- of disposition callback: when
    phone text,                 -- the number that it dialled
    next_phone text,            -- of the next attempt, if it is another
    next_area int
);

-- One item of settle. is_first: no earlier item names the same dial.
create type pgdial.dial_item as (ordinal int, item jsonb, id uuid, claim_no bigint, is_first boolean);

-- One call that a claim returns: what its dial needs. from_number: what it is dialled from.
create type pgdial.claimed as (
    id uuid, claim_no bigint, attempt int, phone text, from_number text, script_id text, metadata jsonb,
    trunk text, campaign text, lease_until timestamptz, ring_timeout_sec int, max_duration_sec int,
    run_at timestamptz, traceparent text, answering_machine text
);

-- Calls in flight of one campaign on one trunk: how many, how many of them are not accepted yet (which counts for a
-- campaign on trial), how many have a list of numbers, the numbers that ring, and the least claim_seq.
create type pgdial.flying as (
    trunk text, campaign text, calls int, dialing int, listed int, phones text[], claim_seq bigint
);

-- The first waiting call of a campaign and priority, by run_at: where the claim begins to read.
create type pgdial.head as (campaign text, priority smallint, run_at timestamptz);

-- The first due call of an area within a campaign and priority.
create type pgdial.area_head as (area int, run_at timestamptz);

-- A campaign without a due call in an open area. Kept in the session, and only a hint: sql/rules/areas.sql.
create type pgdial.shut as (campaign text, since timestamptz, until timestamptz);

-- Calls like these (an empty from_number: without one) were refused, or failed, so often that others go first. kinds: of
-- the responses that they got.
create type pgdial.suspect as (campaign text, script_id text, from_number text, kinds text[]);

-- A place in the queue of a campaign and priority, or of one of its areas: nothing up to it could be claimed, according to the walk
-- that began at since and got here at seen_at. Kept in the session, and only a hint: sql/rules/skips.sql.
create type pgdial.skip as (
    campaign text, priority smallint, area int, run_at timestamptz, id uuid, since timestamptz, seen_at timestamptz
);

-- The calls that a filter selects, parsed and checked (pgdial.read_filter). Null: any. ids: also of a provider's id
-- or an idempotency key. trunk_campaigns: whose waiting calls count as calls of the trunk.
create type pgdial.call_filter as (
    ids uuid[], states text[], outcomes text[], phone text, campaign text, trunk text, trunk_campaigns text[],
    metadata_key text, metadata_value text, error text, created_after timestamptz, created_before timestamptz,
    run_after timestamptz, run_before timestamptz, ended_after timestamptz, ended_before timestamptz
);

-- An event's place in the order of events, and its time.
create type pgdial.event_cursor as (xid xid8, seq bigint, at timestamptz);
