-- next_due: the next moment at which time alone can make a waiting call claimable: a run_at in an open lane,
-- the pace of a lane with work, the opening of its hours, the end of a hold; in 1 s if due rows were passed over
-- because they are locked. Null: only an event can.
create or replace function pgdial.next_due(
    p_trunks text[], p_heads pgdial.head[], p_in_flight pgdial.flying[], p_now timestamptz
) returns timestamptz
language plpgsql volatile
as $$
declare
    v_lanes pgdial.lane[] := array(
        select l from pgdial.lanes_of(array(select distinct h.campaign from unnest(p_heads) h), p_trunks, p_in_flight, p_now) l
        where l.reason is null or l.opens_at is not null);
    v_at timestamptz;
begin
    select min(t.at) into v_at from (
        select coalesce(l.opens_at, case when h.run_at > p_now then h.run_at else (
                   select c.run_at from pgdial.calls c
                   where c.state = 'waiting' and c.campaign = h.campaign and c.priority = h.priority
                     and c.run_at > p_now order by c.run_at limit 1) end)
        from unnest(v_lanes) l join unnest(p_heads) h on h.campaign = l.campaign
        union all
        select pgdial.next_quarter(p_now)
        from unnest(v_lanes) l join pgdial.campaigns g on g.name = l.campaign
        where l.reason is null and g.calling_hours is not null
        union all
        -- Not those that this claim has asked: then only an event, or a new quarter, changes the result.
        select s.until from unnest(pgdial.shut(p_now)) s where s.since < p_now
        union all
        (select c.hold_until from pgdial.calls c where c.hold_until > p_now order by c.hold_until limit 1)
        union all
        select min(o.until) from pgdial.unclaimable o where o.until > p_now
    ) t (at);
    if exists (
        select from unnest(v_lanes) l
        where l.reason is null
          and cardinality(pgdial.passed_over(l.campaign, p_heads, p_now)) > 0) then
        v_at := least(v_at, p_now + '1 second');
    end if;
    return v_at;
end $$;

-- passed_over: due calls of this campaign that another transaction has locked. (Those that can be locked are
-- waiting for their number; a settle wakes them.) Starts from each head, so that neither calls scheduled for
-- later nor dead index entries are walked.
create or replace function pgdial.passed_over(p_campaign text, p_heads pgdial.head[], p_now timestamptz) returns uuid[]
language plpgsql volatile
as $$
begin
    return array(
        select h.id
        from (select d.id from unnest(p_heads) p
                   cross join lateral (
                       select c.id from pgdial.calls c
                       where c.state = 'waiting' and c.campaign = p_campaign and c.priority = p.priority
                         and c.run_at >= p.run_at and c.run_at <= p_now
                       order by c.run_at, c.id limit 20) d
              where p.campaign = p_campaign
              order by p.priority desc limit 20) h
        where (select c.id from pgdial.calls c where c.id = h.id for update skip locked) is null);
end $$;
