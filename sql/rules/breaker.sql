-- The circuit breaker of a trunk. A run of faults over several numbers opens it: then one call at a time
-- probes, at growing intervals and each time another call (pick), and an accepted one closes it. A provider
-- without capacity holds the trunk off for as long as it asks. All of this only skips and delays: the claim
-- reads it (lanes), the verbs that record a provider's response write it.
-- Races: a verb that finds the row locked skips it; the next response counts as well as this one. No verb waits
-- here.

-- breaker_fault: count one more fault. Returns whether the breaker is open now.
-- p_of_trunk: the run is evidence about the whole trunk (speaks_of_trunk). Once open, each fault is.
create or replace function pgdial.breaker_fault(p_trunk text, p_why text, p_of_trunk boolean, p_now timestamptz) returns boolean
language plpgsql volatile
as $$
begin
    insert into pgdial.trunk_breaker (trunk) values (p_trunk) on conflict do nothing;
    update pgdial.trunk_breaker b
    set faults = b.faults + 1, last_fault = left(p_why, 200),
        opened_at = case when b.faults + 1 >= 5 and p_of_trunk then coalesce(b.opened_at, p_now) else b.opened_at end,
        not_before = case when b.opened_at is not null or b.faults + 1 >= 5 and p_of_trunk
            -- By probes, not by faults: the dials that were under way when it opened fail too, and add no
            -- evidence.
            then p_now + least('1 minute', '1 second'::interval * (2 ^ least(b.probes, 10)))
            else b.not_before end
    where b.trunk = (select s.trunk from pgdial.trunk_breaker s where s.trunk = p_trunk for no key update skip locked);
    return coalesce((select b.opened_at is not null from pgdial.trunk_breaker b where b.trunk = p_trunk), false);
end $$;

-- breaker_works: the provider gave a meaningful response: close it. True: it was open.
create or replace function pgdial.breaker_works(p_trunk text) returns boolean
language plpgsql volatile
as $$
declare
    v_open boolean;
begin
    select b.opened_at is not null into v_open from pgdial.trunk_breaker b
    where b.trunk = p_trunk and b.faults > 0 for no key update skip locked;
    if found then
        update pgdial.trunk_breaker b set faults = 0, probes = 0, last_fault = null, opened_at = null, not_before = null
        where b.trunk = p_trunk;
    end if;
    return coalesce(v_open, false);
end $$;

-- breaker_hold_off: the provider has no capacity: nothing is dialled for that long (at most a minute).
create or replace function pgdial.breaker_hold_off(p_trunk text, p_for interval, p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    insert into pgdial.trunk_breaker (trunk) values (p_trunk) on conflict do nothing;
    update pgdial.trunk_breaker b
    set not_before = greatest(b.not_before, p_now + least('1 minute', greatest('1 second', coalesce(p_for, '0'))))
    where b.trunk = (select s.trunk from pgdial.trunk_breaker s where s.trunk = p_trunk for no key update skip locked);
end $$;

-- breaker: what it allows now, or no row: any number of calls. Inlined where it is used.
create or replace function pgdial.breaker(p_trunk text, p_now timestamptz) returns table (allowed int, opens_at timestamptz, reason text)
language sql stable
as $$
    select case when b.not_before > p_now then 0 else 1 end, b.not_before,
           case when b.opened_at is not null then 'breaker' else 'provider_full' end
    from pgdial.trunk_breaker b where b.trunk = p_trunk and (b.not_before > p_now or b.opened_at is not null)
$$;
