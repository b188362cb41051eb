-- When a call is dialled again: after its backoff, within the calling hours of its campaign, and where the campaign
-- says so in another part of the callee's day, or on another day. Only a plan: the claim judges anew.

-- retry_at: from p_from, which is now + backoff, on. rule: what moved it: opening, other_part, next_day; null: nothing.
-- Another part or day helps only if nobody was reached; what failed by itself is retried soon.
create or replace function pgdial.retry_at(
    p_call pgdial.calls, p_campaign pgdial.campaigns, p_outcome pgdial.outcome, p_from timestamptz, p_now timestamptz,
    out at timestamptz, out rule text
)
language plpgsql stable
as $$
begin
    if p_campaign.calling_hours is null then
        at := p_from;
        return;
    end if;
    if p_outcome in ('busy', 'no_answer') and p_campaign.retry_at <> 'backoff' then
        rule := p_campaign.retry_at;
        at := case rule when 'other_part' then pgdial.in_other_part(p_call, p_campaign, p_from)
                        else pgdial.on_next_day(p_call, p_campaign, p_from, p_now) end;
    end if;
    if at is null then
        at := coalesce(pgdial.next_allowed(p_campaign, p_call.area, p_from), p_from);
        rule := case when at > p_from then 'opening' end;
    end if;
end $$;

-- next_allowed: the first instant from p_from on at which a dial may begin, and end, within the calling hours. Null:
-- not within 60 days, or not known.
create or replace function pgdial.next_allowed(p_campaign pgdial.campaigns, p_area int, p_from timestamptz) returns timestamptz
language plpgsql stable
as $$
declare
    v_lease constant interval := pgdial.longest_lease(p_campaign.trunk);
    v_at timestamptz := pgdial.next_open(p_campaign.calling_hours, p_campaign.zone_basis, p_area, p_from);
begin
    if v_at is not null and not pgdial.is_open(p_campaign.calling_hours, p_campaign.zone_basis, p_area, v_at + v_lease) then
        v_at := pgdial.next_open(p_campaign.calling_hours, p_campaign.zone_basis, p_area, v_at + v_lease);
    end if;
    return v_at;
end $$;

-- callee_clock: the zone by whose clock the parts of this callee's day are told: of several, the first.
create or replace function pgdial.callee_clock(p_campaign pgdial.campaigns, p_area int) returns text
language plpgsql stable
as $$
begin
    return (select (pgdial.callee_zones(pgdial.basis_of(p_campaign.calling_hours, p_campaign.zone_basis), a))[1]
            from pgdial.areas a where a.id = p_area);
end $$;

-- part_of_day: where a local time belongs: 1 until 12:00, 2 until 17:00, 3 after that.
create or replace function pgdial.part_of_day(p_local timestamp) returns int
language sql immutable
as $$ select case when p_local::time < '12:00' then 1 when p_local::time < '17:00' then 2 else 3 end $$;

-- in_other_part: the next allowed time between 9:00 and 20:00 in a part of the day in which this call has not been
-- dialled since its enqueue or last redrive. Null: there is none within two weeks, or no clock is known.
-- Index: call_events_by_call.
create or replace function pgdial.in_other_part(p_call pgdial.calls, p_campaign pgdial.campaigns, p_from timestamptz)
returns timestamptz
language plpgsql stable
as $$
declare
    v_zone constant text := pgdial.callee_clock(p_campaign, p_call.area);
    v_tried constant int[] := array(
        select distinct pgdial.part_of_day(pgdial.local_time(v_zone, e.at)) from pgdial.call_events e
        where e.call_id = p_call.id and e.kind = 'active'
          and e.seq > coalesce((select max(r.seq) from pgdial.call_events r
                                where r.call_id = p_call.id and r.kind = 'redriven'), 0));
    v_at timestamptz := pgdial.next_allowed(p_campaign, p_call.area, p_from);
    v_local timestamp;
begin
    while v_at < p_from + '14 days'::interval and not v_tried @> '{1,2,3}' loop
        v_local := pgdial.local_time(v_zone, v_at);
        if v_local::time >= '09:00' and v_local::time < '20:00' and pgdial.part_of_day(v_local) <> all (v_tried) then
            return v_at;
        end if;
        -- The beginning of the next part. Greatest: on a day whose clock jumps it might not be later.
        v_local := case when v_local::time < '09:00' then v_local::date + '09:00'::time
                        when v_local::time < '12:00' then v_local::date + '12:00'::time
                        when v_local::time < '17:00' then v_local::date + '17:00'::time
                        else v_local::date + 1 + '09:00'::time end;
        v_at := pgdial.next_allowed(p_campaign, p_call.area, greatest(v_local at time zone v_zone, v_at + '15 minutes'::interval));
    end loop;
    return null;
end $$;

-- on_next_day: the same local time on the first of the next seven days on which it is allowed; if on none, the next
-- allowed time after tomorrow's. Null: no clock is known.
create or replace function pgdial.on_next_day(
    p_call pgdial.calls, p_campaign pgdial.campaigns, p_from timestamptz, p_now timestamptz
) returns timestamptz
language plpgsql stable
as $$
declare
    v_zone constant text := pgdial.callee_clock(p_campaign, p_call.area);
    v_local constant timestamp := pgdial.local_time(v_zone, p_now);
    v_at timestamptz;
begin
    if v_local is null then
        return null;
    end if;
    for v_days in 1..7 loop
        v_at := greatest(p_from, (v_local + v_days * '1 day'::interval) at time zone v_zone);
        if pgdial.next_allowed(p_campaign, p_call.area, v_at) = v_at then
            return v_at;
        end if;
    end loop;
    return pgdial.next_allowed(p_campaign, p_call.area, greatest(p_from, (v_local + '1 day'::interval) at time zone v_zone));
end $$;
