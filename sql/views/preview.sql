-- preview_campaign: what would be dialled of the calls that wait in this campaign, and how long it would take. Each
-- waiting call is counted once: suppressed, expired, capped (a contact limit), later (not due yet), closed by reason
-- (its calling hours), or now. reasons: what keeps all of them, such as a pause, unless it passes before by itself. It
-- reads only.
-- p_at: null = when the campaign starts, or now. Null if there is no such campaign.
--   select jsonb_pretty(pgdial.preview_campaign('default'));
-- Cost: one walk of the campaign's waiting calls; hours are judged once for each area, limits only for numbers that
-- were dialled recently.
create or replace function pgdial.preview_campaign(p_name text, p_at timestamptz default null) returns jsonb
language plpgsql stable
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
set jit = off
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_campaign pgdial.campaigns;
    v_at timestamptz;
    v_basis text;
    v_capped uuid[];
    v_areas jsonb;
    v_counts jsonb;
begin
    select g.* into v_campaign from pgdial.campaigns g where g.name = p_name;
    if not found then
        return null;
    end if;
    v_at := coalesce(p_at, greatest(v_campaign.starts_at, v_now));
    v_basis := pgdial.basis_of(v_campaign.calling_hours, v_campaign.zone_basis);
    v_capped := pgdial.capped_calls(p_name, v_at);

    with call as (
        -- Before a sweep has looked up a call's area: by what it will look at.
        select c.area, case when c.area = 0 then pgdial.phone_area(c.phone) else c.area end as known_area,
               case when c.area = 0 then c.timezone end as timezone, case when c.area = 0 then c.region end as region,
               case when exists (select from pgdial.do_not_call d where d.phone = c.phone and pgdial.covers(d, p_name, v_at))
                         and (c.numbers is null or pgdial.present_number(c, v_at) is null) then 'suppressed'
                    when v_campaign.require_consent and (c.consent_at is null or c.consent_expires_at <= v_at) then 'no_consent'
                    when c.expires_at <= v_at then 'expired'
                    when c.id in (select k from unnest(v_capped) k) then 'capped'
                    when c.run_at > v_at then 'later'
                    else 'due' end as state
        from pgdial.calls c
        where c.state = 'waiting' and c.campaign = p_name
    ), area as materialized (
        select c.area, c.known_area, c.timezone, c.region, count(*) filter (where c.state = 'suppressed') as suppressed,
               count(*) filter (where c.state = 'no_consent') as no_consent, count(*) filter (where c.state = 'expired') as expired,
               count(*) filter (where c.state = 'capped') as capped, count(*) filter (where c.state = 'later') as later,
               count(*) filter (where c.state = 'due') as due, count(*) as calls
        from call c group by c.area, c.known_area, c.timezone, c.region
    ), judged as materialized (
        select a.*, p.zones, p.regions, h.reason, h.opens_at
        from area a
             left join pgdial.areas k on k.id = a.known_area
             cross join lateral (select case when a.area = 0 then pgdial.with_place(k, a.timezone, a.region) else k end) w (place)
             cross join lateral (select pgdial.callee_zones(v_basis, w.place), pgdial.callee_regions(v_basis, w.place)) p (zones, regions)
             left join lateral pgdial.hours_over_lease(v_campaign, p.zones, p.regions, v_at) h on v_campaign.calling_hours is not null
    )
    select jsonb_build_object(
               'waiting', coalesce(sum(j.calls), 0), 'now', coalesce(sum(j.due) filter (where j.reason is null), 0),
               'later', coalesce(sum(j.later), 0),
               'closed', coalesce((select jsonb_object_agg(r.reason, r.n)
                                   from (select o.reason, sum(o.due) as n from judged o where o.reason is not null and o.due > 0 group by 1) r), '{}'),
               'capped', coalesce(sum(j.capped), 0), 'suppressed', coalesce(sum(j.suppressed), 0),
               'noConsent', coalesce(sum(j.no_consent), 0), 'expired', coalesce(sum(j.expired), 0)),
           (select coalesce(jsonb_agg(jsonb_build_object(
                       'zones', coalesce(to_jsonb(t.zones), '[]'), 'regions', coalesce(to_jsonb(t.regions), '[]'),
                       'calls', t.calls, 'reason', t.reason, 'opensAt', t.opens_at) order by t.calls desc, t.known_area), '[]')
            from (select o.* from judged o order by o.calls desc, o.known_area limit 10) t
            where v_campaign.calling_hours is not null)
    into v_counts, v_areas
    from judged j;

    return v_counts || jsonb_build_object(
        'campaign', p_name, 'at', v_at, 'startsAt', v_campaign.starts_at, 'endsAt', v_campaign.ends_at,
        'duplicates', (
            select count(distinct d.id)
            from (select c.id, first_value(c.id) over (partition by n order by c.id) as first
                  from pgdial.calls c cross join unnest(coalesce(c.numbers, array[c.phone])) n
                  where c.state = 'waiting' and c.campaign = p_name) d
            where d.first <> d.id),
        'areas', v_areas,
        -- Hours, and calls that are not due yet, are counted call by call, above.
        'reasons', (select coalesce(jsonb_agg(jsonb_build_object(
                               'reason', w.reason, 'message', w.message, 'object', w.object, 'until', w.until) order by w.ord), '[]')
                    from pgdial.why_groups('campaign', p_name) w
                    where coalesce(w.until > v_at, true)
                      and w.reason not in ('scheduled', 'retry_due', 'outside_hours', 'holiday', 'zone_unknown', 'calendar_ended')),
        'estimate', pgdial.estimate_of(v_campaign, (v_counts ->> 'waiting')::bigint - (v_counts ->> 'suppressed')::bigint
                                                   - (v_counts ->> 'noConsent')::bigint - (v_counts ->> 'expired')::bigint));
end $$;

-- capped_calls: its waiting calls that a contact limit holds at this instant.
create or replace function pgdial.capped_calls(p_campaign text, p_at timestamptz) returns uuid[]
language plpgsql stable
set plan_cache_mode = force_custom_plan
as $$
declare
    v_reach constant interval := (
        select max(pgdial.longest_reach(l)) from pgdial.contact_limits l
        where l.all_campaigns or l.name in (select n from pgdial.campaigns g cross join unnest(g.contact_limits) n where g.name = p_campaign));
begin
    if v_reach is null then
        return '{}';
    end if;
    return array(
        select distinct h.id from pgdial.held(array(
            select c.id from pgdial.calls c
            where c.state = 'waiting' and c.campaign = p_campaign
              and (c.numbers is not null or c.phone in (select d.phone from pgdial.dials d where d.at > p_at - v_reach))), p_at) h);
end $$;

-- hours_over_lease: place_state for a dial that begins at this instant. Reason null: open.
create or replace function pgdial.hours_over_lease(
    p_campaign pgdial.campaigns, p_zones text[], p_regions text[], p_at timestamptz, out reason text, out opens_at timestamptz
)
language plpgsql stable
as $$
begin
    select s.reason, s.opens_at into reason, opens_at
    from (values (p_at), (p_at + pgdial.longest_lease(p_campaign.trunk))) t (at)
         cross join lateral pgdial.place_state(p_campaign.calling_hours, p_zones, p_regions, t.at) s
    where s.reason is not null
    order by t.at limit 1;
end $$;

-- estimate_of: how long this many calls take at the campaign's present pace, each dialled once and no other campaign
-- dialling: as many at a time as its cap and its trunk's slots allow, no faster than the trunk's pace. A call lasts as
-- long as the latest 500 that were dialled; if fewer than 20 were, as long as its limits allow. seconds null: nothing
-- may be dialled.
-- Index: calls_over.
create or replace function pgdial.estimate_of(p_campaign pgdial.campaigns, p_calls bigint) returns jsonb
language plpgsql stable
as $$
declare
    v_trunk pgdial.trunks;
    v_recent int;
    v_mean numeric;
    v_at_once int;
    v_per_second numeric;
begin
    select t.* into v_trunk from pgdial.trunks t where t.name = p_campaign.trunk;
    select count(*), avg(extract(epoch from r.ended_at - r.claimed_at)) into v_recent, v_mean
    from (select c.* from unnest(array['completed', 'failed']::pgdial.call_state[]) s (state)
               cross join lateral (
                   select o.id, o.ended_at, o.claimed_at from pgdial.calls o
                   where o.campaign = p_campaign.name and o.state = s.state and o.ended_at is not null
                   order by o.id desc limit 500) c
          where c.claimed_at is not null
          order by c.id desc limit 500) r;
    if v_recent < 20 then
        v_mean := extract(epoch from p_campaign.ring_timeout + p_campaign.max_duration);
    end if;
    v_at_once := least(p_campaign.cap, v_trunk.slots);
    v_per_second := least(v_at_once / greatest(v_mean, 0.1), v_trunk.calls_per_second);
    return jsonb_build_object(
        'calls', p_calls, 'seconds', case when v_per_second > 0 then ceil(greatest(p_calls / v_per_second, sign(p_calls) * v_mean)) end,
        'atOnce', v_at_once, 'callsPerSecond', v_trunk.calls_per_second, 'secondsPerCall', round(v_mean, 1),
        'basis', case when v_recent < 20 then 'limits' else 'recent_calls' end);
end $$;
