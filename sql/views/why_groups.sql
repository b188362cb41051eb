-- why_groups: what keeps each trunk and each campaign from dialling, or from dialling more, now: every reason, in the
-- words of why and in the order in which they must change. A campaign has those of its trunk, too. Zero rows of one:
-- nothing keeps it. What keeps single calls (their numbers, contact limits) is why's to say.
-- p_kind, p_name: trunk or campaign; null = all that are not archived.
--   select * from pgdial.why_groups('campaign', 'default');
-- A campaign is outside its hours only while every call that waits in it is; the words are those about the first of
-- them.
-- Cost: those of lanes and heads; for a campaign whose first waiting call may not be rung at this hour, a probe for each
-- open area.
-- Index: calls_claimable, calls_claimable_by_area.
create or replace function pgdial.why_groups(p_kind text default null, p_name text default null)
returns table (kind text, name text, ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
set jit = off
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := pgdial.now();
    v_flying constant pgdial.flying[] := pgdial.in_flight();
    -- The reasons of lanes that are the trunk's, and so the same for all its campaigns.
    v_of_trunk constant text[] := array['cluster_changed', 'trunk_paused', 'trunk_held', 'breaker', 'provider_full', 'trunk_full', 'pacing'];
begin
    return query
    with campaign as materialized (
        select g.name, g.trunk, g.calling_hours, g.zone_basis from pgdial.campaigns g
        where case when p_name is null then g.archived_at is null when p_kind = 'trunk' then g.trunk = p_name else g.name = p_name end
    ), lane as materialized (
        select l.campaign, l.trunk, coalesce(l.reasons, '{}') as reasons
        from pgdial.lanes_of(array(select g.name from campaign g), null, v_flying, v_now) l
    ), trunk as materialized (
        select t.name, coalesce((select array(select r from unnest(l.reasons) r where r = any (v_of_trunk))
                                 from lane l where l.trunk = t.name limit 1),
                                -- No campaign uses it.
                                case when t.paused then array['trunk_paused'] end) as reasons
        from pgdial.trunks t
        where case when p_kind = 'trunk' and p_name is not null then t.name = p_name
                   else t.name in (select g.trunk from campaign g) or p_name is null and t.archived_at is null end
    ), of_trunk as materialized (
        select t.name, w.*
        from trunk t
             cross join lateral (select row(null, t.name, null, null, null, null, null, null, t.reasons)::pgdial.lane) a (lane)
             cross join lateral (select * from pgdial.why_lane(a.lane, v_flying, v_now)
                                 union all select * from pgdial.why_breaker(t.name, t.reasons, v_now)
                                 union all select * from pgdial.why_nobody(a.lane, v_now)
                                 union all select * from pgdial.why_doubts(t.name)
                                 where 'trunk_full' <> all (coalesce(t.reasons, '{}'))) w
    ), of_campaign as materialized (
        select l.campaign as name, w.*
        from lane l
             cross join lateral (select array(select r from unnest(l.reasons) r where r <> all (v_of_trunk))) o (reasons)
             cross join lateral pgdial.why_lane(row(l.campaign, l.trunk, null, null, null, null, null, null, o.reasons)::pgdial.lane,
                                                v_flying, v_now) w
        where o.reasons <> '{}'
        union all
        select g.name, 33, h.reason, h.message, h.object, h.until
        from campaign g cross join lateral pgdial.why_closed(g.name, v_now) h
        where g.calling_hours is not null
        union all
        select l.name, 30, l.reason, l.message, l.name, l.until
        from pgdial.why_later(p_name, v_now) l where l.name in (select g.name from campaign g)
        union all
        select s.campaign, 47, 'suspect', min(pgdial.suspect_words(s)) || case when count(*) > 1
                   then format(' (and %s more kinds of its calls)', count(*) - 1) else '' end, min(s.script_id), null
        from unnest(pgdial.suspects(v_now)) s
        where s.campaign in (select g.name from campaign g)
          and exists (select from pgdial.calls c where c.state = 'waiting' and c.campaign = s.campaign)
        group by s.campaign
    )
    select a.kind, a.name, row_number() over (partition by a.kind, a.name order by a.ord)::int, a.reason, a.message, a.object, a.until
    from (select 'trunk' as kind, t.* from of_trunk t where p_kind is distinct from 'campaign'
          union all
          select 'campaign', c.* from of_campaign c where p_kind is distinct from 'trunk'
          union all
          select 'campaign', g.name, t.ord, t.reason, t.message, t.object, t.until
          from campaign g join of_trunk t on t.name = g.trunk where p_kind is distinct from 'trunk') a
    order by a.kind desc, a.name, a.ord;
end $$;

-- why_later: the campaigns that have waiting calls of which none is due, with the reason of the first of them.
-- p_campaign: null = all.
-- Index: calls_claimable.
create or replace function pgdial.why_later(p_campaign text, p_now timestamptz)
returns table (name text, reason text, message text, until timestamptz)
language plpgsql stable
set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with head as materialized (
        select h.campaign, h.priority, h.run_at from pgdial.heads() h where p_campaign is null
        union all
        select p_campaign, q::smallint, c.run_at
        from generate_series(0, 9) q
             cross join lateral (select c.run_at from pgdial.calls c
                                 where c.state = 'waiting' and c.campaign = p_campaign and c.priority = q::smallint
                                 order by c.run_at limit 1) c
    ), first as materialized (
        select distinct on (h.campaign) h.* from head h order by h.campaign, h.run_at
    )
    select f.campaign, case when c.claim_no > 0 then 'retry_due' else 'scheduled' end,
           'none of its waiting calls is due before ' || pgdial.in_utc(f.run_at), f.run_at
    from first f
         cross join lateral (select c.claim_no from pgdial.calls c
                             where c.state = 'waiting' and c.campaign = f.campaign and c.priority = f.priority and c.run_at >= f.run_at
                             order by c.run_at, c.id limit 1) c
    where f.run_at > p_now;
end $$;

-- why_closed: the hours that keep every call that waits in a campaign from being dialled now, as why says of the first of
-- them. No row: they keep none, or not all.
create or replace function pgdial.why_closed(p_campaign text, p_now timestamptz)
returns table (reason text, message text, object text, until timestamptz)
language plpgsql stable
set jit = off
as $$
#variable_conflict use_column
declare
    v_first pgdial.calls;
begin
    select c.* into v_first
    from generate_series(9, 0, -1) q
         cross join lateral (select c.* from pgdial.calls c
                             where c.state = 'waiting' and c.campaign = p_campaign and c.priority = q::smallint
                             order by c.run_at, c.id limit 1) c
    limit 1;
    if not found or not exists (select from pgdial.why_hours(v_first, p_now)) then
        return;
    end if;
    if exists (
        select from pgdial.campaigns g
             cross join lateral unnest(pgdial.open_areas(g.calling_hours, g.zone_basis, p_now, p_now + pgdial.longest_lease(g.trunk))) o (area)
             cross join generate_series(0, 9) q
             cross join lateral (select c.id from pgdial.calls c
                                 where c.state = 'waiting' and c.campaign = p_campaign and c.priority = q::smallint and c.area = o.area
                                 limit 1) c
        where g.name = p_campaign) then
        return;
    end if;
    return query select * from pgdial.why_hours(v_first, p_now);
end $$;
