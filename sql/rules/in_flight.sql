-- in_flight: the calls in flight, by trunk and campaign.
create or replace function pgdial.in_flight() returns pgdial.flying[]
language plpgsql stable
as $$
begin
    return pgdial.in_flight_from(0);
end $$;

-- in_flight_from: the same for the claim, which reads it once, for the caps and for the taken numbers. Grouped,
-- because each claim pays for what is done with each call in flight.
-- Entries of calls that ended since the last vacuum come before the live ones in the index: it begins at a floor,
-- below which no claim has left any. Calls put in flight by other means (recover, a person's UPDATE) sort above all
-- claims, and are read too.
-- The floor decides the cap and one call per number (P1, P3), so it must be exact, not just likely: the claim
-- reads and raises it behind the gate (keep_floor).
-- Index: calls_in_flight.
create or replace function pgdial.in_flight_from(p_floor bigint) returns pgdial.flying[]
language plpgsql stable
as $$
begin
    return array(select row(c.trunk, c.campaign, count(*), count(*) filter (where c.state = 'dialing'), count(c.numbers),
                            array_agg(c.phone), min(c.claim_seq))::pgdial.flying
                 from pgdial.calls c
                 where c.state in ('dialing', 'unresolved', 'in_call') and c.claim_seq >= p_floor
                 group by c.trunk, c.campaign);
end $$;

-- known_floor: no claim has left a call in flight below it. Kept in the session, which stays on one server and
-- in one database: a new session begins at 0 and reads everything once. So does one whose sequence was
-- recreated (truncate ... restart identity) or set back: the claims of other sessions are then numbered from
-- its beginning.
create or replace function pgdial.known_floor() returns bigint
language plpgsql stable
as $$
declare
    v_known constant text[] := string_to_array(nullif(current_setting('pgdial.floor', true), ''), '/');
begin
    if v_known[1] = pg_relation_filenode('pgdial.claim_order')::text
       and v_known[2]::bigint <= (select o.last_value from pgdial.claim_order o) then
        return v_known[2];
    end if;
    return 0;
end $$;

-- keep_floor: the least claim_seq of what was in flight and of what this claim (p_seq) has added: later claims
-- have higher numbers. Not above p_seq, even when nothing was in flight: if the sequence is ever set back (it
-- is not replicated logically), the next claims must still be above the floor.
-- p_seq: null = this claim took nothing, and the floor stays.
create or replace function pgdial.keep_floor(p_in_flight pgdial.flying[], p_seq bigint) returns void
language plpgsql volatile
as $$
begin
    if p_seq is not null then
        perform set_config('pgdial.floor',
            pg_relation_filenode('pgdial.claim_order') || '/'
                || least((select min(f.claim_seq) from unnest(p_in_flight) f), p_seq), false);
    end if;
end $$;
