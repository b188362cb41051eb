-- A place in the queue of a campaign and priority: nothing up to it could be claimed, by the walk that
-- began at since and came here at seen_at. Kept in the session, and only a hint: sql/rules/skips.sql.
create type pgdial.skip as (
    campaign text, priority smallint, run_at timestamptz, id uuid, since timestamptz, seen_at timestamptz
);

-- Inside the claim: they take other arguments, or return another type. A new database has none
-- of them, and need not be told.
set local client_min_messages = warning;
drop function if exists pgdial.pick_from(text, text, int, pgdial.head[], text[], uuid[], timestamptz);
drop function if exists pgdial.spend_pace(text, int, timestamptz);
reset client_min_messages;
