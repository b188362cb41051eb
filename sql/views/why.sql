-- why: why is this call not being dialled, what is it waiting for, or how did it end? Every reason that holds
-- now, in the order in which they must change; it shares pgdial.lanes with the claim.
--   select * from pgdial.why('0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90');
-- Returns position, reason, message, object (what it is about), until (when it changes by itself at the latest,
-- if known). Zero rows: there is no such call.
-- `next` is returned only if there is no other reason, and a claim right now, with enough permits, would take
-- the call. `in_turn` if only the claim can tell: campaigns share the last slots.
-- Stable, so that everything is about one moment; the next moment may differ, as may the next claim.
-- It cannot see that calls before this one are locked: the claim passes over those. Nor what a worker
-- remembers: while an old snapshot is held, a claim may reach a call 5 s later (find_heads).
-- Cost: what is in flight, and at most 10,000 index entries of waiting calls.
create or replace function pgdial.why(p_id uuid)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := pgdial.now();
    v_call pgdial.calls;
begin
    select c.* into v_call from pgdial.calls c where c.id = p_id;
    if v_call.state = 'waiting' then
        return query select w.* from pgdial.why_waiting(v_call, v_now) w;
    elsif v_call.state in ('dialing', 'unresolved', 'in_call') then
        return query select f.* from pgdial.why_in_flight(v_call, v_now) f;
    elsif found then
        return query select o.* from pgdial.why_over(v_call, v_now) o;
    end if;
end $$;

-- why_waiting: everything that keeps this waiting call from being dialled; if nothing does, its place in line.
create or replace function pgdial.why_waiting(p_call pgdial.calls, p_now timestamptz)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_flying constant pgdial.flying[] := pgdial.in_flight();
    v_lane pgdial.lane;
begin
    select l.* into v_lane from pgdial.lanes_of(array[p_call.campaign], null, v_flying, p_now) l;
    return query
    select row_number() over (order by r.ord)::int, r.reason, r.message, r.object, r.until
    from (select * from pgdial.why_itself(p_call, p_now)
          union all select * from pgdial.why_lane(v_lane, v_flying, p_now)
          union all select * from pgdial.why_breaker(v_lane.trunk, v_lane.reasons, p_now) where v_lane.reasons is not null
          union all select * from pgdial.why_nobody(v_lane, p_now)) r
    order by r.ord;
    if not found then
        return query select 1, p.reason, p.message, p.object, null::timestamptz
                     from pgdial.place_in_line(p_call, v_lane, v_flying, p_now) p;
    end if;
end $$;

-- why_itself: the obstacles of this call alone. Repeats the conditions that the claim checks per row
-- (pick_from).
create or replace function pgdial.why_itself(p_call pgdial.calls, p_now timestamptz)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
    select 10, 'suppressed', format('its number is on the do-not-call list%s%s, by %s since %s: %s',
           coalesce(' for topic ' || nullif(d.topic, ''), ' for campaign ' || nullif(d.campaign, ''), ''),
           coalesce(' until ' || pgdial.in_utc(d.until), ''), d.by,
           pgdial.in_utc(d.at), pgdial.masked(d.reason))
           || case when p_call.numbers is not null and pgdial.present_number(p_call, p_now) is not null
                   then '; the sweep will go on with another number of the call' else '' end, 'do_not_call', null::timestamptz
    from pgdial.do_not_call d where d.phone = p_call.phone and pgdial.covers(d, p_call.campaign, p_now)
    union all
    select 13, t.problem, pgdial.consent_words(t.problem, p_call.campaign, p_call.consent_expires_at), p_call.campaign, null
    from pgdial.consent_problem(p_call, p_now) t (problem) where t.problem is not null
    union all
    select 11, 'expired', format('its expiresAt, %s, has passed: the sweep will end it', pgdial.in_utc(p_call.expires_at)),
           p_call.id::text, null
    where p_call.expires_at <= p_now
    union all
    select 12, 'no_campaign', format('there is no campaign %s any more: create it, or cancel the call', p_call.campaign),
           p_call.campaign, null
    where not exists (select from pgdial.campaigns g where g.name = p_call.campaign)
    union all
    select 29, l.reason, l.message, l.object, l.until from pgdial.why_limits(p_call, p_now) l
    union all
    -- Put back by a failed dial: what stopped that dial, such as a breaker, must change first.
    select case when p_call.attempt = 0 and p_call.claim_no > 0 then 46 else 30 end,
           case when p_call.claim_no > 0 then 'retry_due' else 'scheduled' end,
           case when p_call.attempt > 0 then format('attempt %s of %s ended %s; the next one is due at %s', p_call.attempt,
                     p_call.max_attempts, coalesce(p_call.outcome::text, 'without an outcome'), pgdial.in_utc(p_call.run_at))
                when p_call.claim_no > 0 then format('it was put back (%s) and is due again at %s',
                     pgdial.masked(coalesce(p_call.last_error, 'no words')), pgdial.in_utc(p_call.run_at))
                else format('it is scheduled for %s', pgdial.in_utc(p_call.run_at)) end
               || coalesce((select format(', too late: %s, and it expires then', case
                                when p_call.expires_at <= p_call.run_at and coalesce(p_call.expires_at <= g.ends_at, true)
                                then 'its expiresAt is ' || pgdial.in_utc(p_call.expires_at)
                                else format('campaign %s ends at %s', g.name, pgdial.in_utc(g.ends_at)) end)
                            from pgdial.campaigns g
                            where g.name = p_call.campaign and least(p_call.expires_at, g.ends_at) <= p_call.run_at), ''),
           p_call.id::text, p_call.run_at
    where p_call.run_at > p_now and not pgdial.is_put_aside(p_call, p_now)
    union all
    select 31, 'unclaimable', format('it could not be claimed, and is tried again at %s: %s', pgdial.in_utc(o.until),
           pgdial.masked(o.why)), p_call.id::text, o.until
    from pgdial.unclaimable o where o.call_id = p_call.id and o.until > p_now
    union all
    select 33, h.reason, h.message, h.object, h.until from pgdial.why_hours(p_call, p_now) h
    union all
    select 32, 'locked', format('%s holds its row: the claim passes over it until that transaction ends', h.who), h.who, null
    from pgdial.row_holder(p_call.id) h (who) where h.who is not null
    union all
    select 47, 'suspect', coalesce(s.words, 'its own dial failed, as did those before: others probe the provider first'),
           p_call.script_id, null
    from (select max(pgdial.suspect_words(s)) as words from unnest(pgdial.suspects(p_now)) s
          where (s.campaign, s.script_id, s.from_number)
                = (p_call.campaign, p_call.script_id, coalesce(p_call.from_number, ''))) s
    where s.words is not null or p_call.id = any (pgdial.tried(p_now))
    union all
    select 50, 'number_taken', t.message, t.object, t.until from pgdial.number_taken(p_call, p_now) t
    union all
    select 51, 'twin', format('call %s to the same number is due in campaign %s too, and comes first', t.id, p_call.campaign),
           t.id::text, null
    from pgdial.twin_before(p_call, p_now) t (id) where t.id is not null;
end $$;

-- suspect_words: which calls are suspect, and what that means for them.
create or replace function pgdial.suspect_words(p_suspect pgdial.suspect) returns text
language plpgsql stable
as $$
begin
    return format('calls with script %s%s %s for several numbers in a row, and none was accepted: others go first, and of these one at a time',
        p_suspect.script_id, coalesce(' from ' || pgdial.masked(nullif(p_suspect.from_number, '')), ''), pgdial.turned_down(p_suspect.kinds));
end $$;

-- why_hours: do the calling hours of its campaign keep this call from being dialled now, and until when? A dial
-- has to end within them too: just before they close, none begins.
create or replace function pgdial.why_hours(p_call pgdial.calls, p_now timestamptz)
returns table (reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
    select s.reason, s.message, g.calling_hours, s.opens_at
    from pgdial.campaigns g
         cross join lateral (values (p_now), (p_now + pgdial.longest_lease(g.trunk))) t (at)
         cross join lateral pgdial.hours_state(g.calling_hours, g.zone_basis, p_call.area, t.at) s
    where g.name = p_call.campaign and g.calling_hours is not null and s.reason is not null
    order by t.at limit 1;
end $$;

-- why_limits: the contact limits that hold this call, as the claim counts them (held), with the dials that count.
-- held_back: one that holds no more has put it aside.
create or replace function pgdial.why_limits(p_call pgdial.calls, p_now timestamptz)
returns table (reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
    select case when l.counts = 'attempts' or l.at_most > 1 then 'contact_limit' else 'cooldown' end,
           format('contact limit %s lets this number be dialled again at %s: at most %s %s within %s%s%s; %s', l.name,
                  pgdial.in_utc(h.until), l.at_most, l.counts,
                  pgdial.period_in_words(l.period), case l.boundary when 'local_day' then ' by the callee''s calendar' else '' end,
                  case l.per when 'number_and_topic' then ' about one topic' when 'number_and_campaign' then ' from one campaign' else '' end,
                  pgdial.dials_in_words(p_call, l, g.topic, h.zones, p_now)),
           l.name, h.until
    from pgdial.held(array[p_call.id], p_now) h
         join pgdial.contact_limits l on l.name = h.name
         join pgdial.campaigns g on g.name = p_call.campaign
    order by h.until, l.name;
    if not found and pgdial.is_put_aside(p_call, p_now) then
        return query select 'held_back', format('a contact limit that holds no more put it aside until %s: `pgdial calls recheck` '
                                'brings it back', pgdial.in_utc(p_call.run_at)), p_call.id::text, p_call.run_at;
    end if;
end $$;

-- dials_in_words: the dials of its number that this limit counts now, the latest three.
create or replace function pgdial.dials_in_words(
    p_call pgdial.calls, p_limit pgdial.contact_limits, p_topic text, p_zones text[], p_now timestamptz
) returns text
language plpgsql stable
as $$
begin
    return (
        select string_agg(format('%s in campaign %s (call %s)', pgdial.in_utc(d.at), d.campaign, d.call_id), ', ' order by d.at desc)
                   filter (where d.n <= 3)
               || case when count(*) > 3 then format(' and %s more', count(*) - 3) else '' end
        from (select d.*, row_number() over (order by d.at desc) as n
              from pgdial.dials d
              where d.phone = any (coalesce(p_call.numbers, array[p_call.phone])) and d.at > p_now - pgdial.longest_reach(p_limit)
                and pgdial.counts(d, p_limit, p_call.campaign, p_topic)
                and pgdial.counts_until(d.at, p_limit, p_zones) > p_now) d);
end $$;

-- period_in_words: 24 hours, 30 days.
create or replace function pgdial.period_in_words(p_period interval) returns text
language sql immutable
as $$
    select case when s % 86400 = 0 and s > 86400 then s / 86400 || ' days' when s % 3600 = 0 then s / 3600 || ' hours'
                else ceil(s / 60) || ' minutes' end
    from (select extract(epoch from p_period)::bigint) p (s)
$$;

-- number_taken: the call in flight to this number, or to another one of the person, or the call that holds it. Zero
-- rows: it is free. A waiting call may hold its own number: nobody knows how its last dial ended.
create or replace function pgdial.number_taken(p_call pgdial.calls, p_now timestamptz)
returns table (message text, object text, until timestamptz)
language plpgsql stable
as $$
declare
    v_numbers constant text[] := coalesce(p_call.numbers, array[p_call.phone]);
begin
    return query
    select case when o.state::text in ('dialing', 'unresolved', 'in_call')
                then format('number %s%s is busy with call %s, %s since %s, until %s at most', pgdial.masked(o.phone), w.whose, o.id, o.state,
                            pgdial.in_utc(o.claimed_at), pgdial.in_utc(o.deadline_at))
                else format('number %s%s is held until %s: nobody knows how the last dial of call %s ended (`pgdial release` ends that)',
                            pgdial.masked(o.phone), w.whose, pgdial.in_utc(o.hold_until), o.id) end,
           o.id::text, case when o.state::text in ('dialing', 'unresolved', 'in_call') then o.deadline_at else o.hold_until end
    from pgdial.calls o
         cross join lateral (select case when o.phone <> p_call.phone then ' of the same person' else '' end) w (whose)
    where o.id in (select c.id from pgdial.calls c
                   where c.phone = any (v_numbers) and c.state in ('dialing', 'unresolved', 'in_call')
                   union all
                   select c.id from pgdial.calls c where c.hold_until > p_now and c.phone = any (v_numbers)
                   union all
                   select c.id from pgdial.calls c
                   where c.numbers && v_numbers and (c.hold_until > p_now or c.state::text in ('dialing', 'unresolved', 'in_call')))
    order by o.state::text in ('dialing', 'unresolved', 'in_call') desc, o.hold_until desc
    limit 1;
end $$;

-- twin_before: a due call of the same campaign to the same number, or person, that the claim would take instead.
-- Index: calls_phone, calls_numbers; only the thousand oldest twins of the number are visited.
create or replace function pgdial.twin_before(p_call pgdial.calls, p_now timestamptz) returns uuid
language plpgsql stable
as $$
begin
    return (
        select t.id
        from (select o.id
              from ((select c.* from pgdial.calls c
                     where c.phone = p_call.phone and c.state::text = 'waiting' order by c.id limit 1000)
                    union all
                    select c.* from pgdial.calls c
                    where c.phone <> p_call.phone and c.state::text = 'waiting'
                      and (c.phone = any (p_call.numbers) or c.numbers && coalesce(p_call.numbers, array[p_call.phone]))) o
              where o.campaign = p_call.campaign and o.run_at <= p_now
                and (o.priority > p_call.priority
                     or o.priority = p_call.priority and (o.run_at, o.id) < (p_call.run_at, p_call.id))
                and (o.expires_at is null or o.expires_at > p_now)
                and pgdial.consent_problem(o, p_now) is null
                and not exists (select from pgdial.unclaimable u where u.call_id = o.id and u.until > p_now)
              order by o.priority desc, o.run_at, o.id limit 20) t
        where pgdial.row_holder(t.id) is null limit 1);
end $$;

-- why_lane: every reason of its lane but the breaker (why_breaker), in words. Only lanes decides whether each holds.
create or replace function pgdial.why_lane(p_lane pgdial.lane, p_flying pgdial.flying[], p_now timestamptz)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_trunk pgdial.trunks;
    v_campaign pgdial.campaigns;
    v_breaker pgdial.trunk_breaker;
begin
    if p_lane.reasons is null then
        return;
    end if;
    select t.* into v_trunk from pgdial.trunks t where t.name = p_lane.trunk;
    select g.* into v_campaign from pgdial.campaigns g where g.name = p_lane.campaign;
    select b.* into v_breaker from pgdial.trunk_breaker b where b.trunk = p_lane.trunk;
    return query
    select case r.reason when 'campaign_over' then 13 when 'cluster_changed' then 20 when 'trunk_paused' then 21
                         when 'campaign_paused' then 22 when 'campaign_not_started' then 23
                         when 'trunk_held' then 24 when 'caller_ids_spent' then 25 when 'provider_full' then 45
                         when 'trunk_full' then 60 when 'campaign_full' then 61 when 'on_trial' then 62 else 63 end,
           r.reason,
           case r.reason
               when 'cluster_changed' then pgdial.cluster_changed()
                    || ': commits may be missing, so nothing is dialled until somebody runs `pgdial recover`'
               when 'trunk_paused' then format('trunk %s is paused by %s since %s: %s', v_trunk.name, v_trunk.paused_by,
                    pgdial.in_utc(v_trunk.paused_at), coalesce(pgdial.masked(v_trunk.paused_why), 'no reason given'))
               when 'campaign_paused' then format('campaign %s is paused by %s since %s: %s', v_campaign.name,
                    v_campaign.paused_by, pgdial.in_utc(v_campaign.paused_at),
                    coalesce(pgdial.masked(v_campaign.paused_why), 'no reason given'))
               when 'campaign_not_started' then format('campaign %s starts at %s', v_campaign.name, pgdial.in_utc(v_campaign.starts_at))
               when 'campaign_over' then case when v_campaign.ends_at <= p_now
                    then pgdial.end_in_words(v_campaign.name, v_campaign.ends_at) || ': the sweep will end it'
                    else format('campaign %s ends at %s, and a dial begun now could still ring then', v_campaign.name,
                                pgdial.in_utc(v_campaign.ends_at)) end
               when 'trunk_held' then format('trunk %s is held until %s: a recovery could not ask its provider what may still ring',
                    v_trunk.name, pgdial.in_utc(v_trunk.held_until))
               when 'caller_ids_spent' then pgdial.spent_caller_ids(v_campaign.caller_ids, v_trunk.name, p_now)
               when 'provider_full' then format('the provider of trunk %s has no room, and asked us to wait until %s', v_trunk.name,
                    pgdial.in_utc(v_breaker.not_before))
               when 'trunk_full' then format('%s of %s slots of trunk %s are in use', o.n, v_trunk.slots, v_trunk.name)
                    || pgdial.oldest_live(o.id, o.claimed_at, o.deadline_at)
               when 'campaign_full' then format('campaign %s has %s calls in flight, its cap is %s', v_campaign.name, o.n, pgdial.present_cap(v_campaign, p_now))
                    || coalesce(' now, ramping up: the next step is at ' || pgdial.in_utc(pgdial.next_step(v_campaign, p_now)), '')
                    || pgdial.oldest_live(o.id, o.claimed_at, o.deadline_at)
               when 'on_trial' then format('campaign %s has had no call accepted recently, or several refused or failed since, so only a few are dialled at once: their results decide',
                    v_campaign.name)
               else format('trunk %s places %s calls a second: the next at %s', v_trunk.name, trim_scale(v_trunk.calls_per_second),
                    pgdial.in_utc((pgdial.pace(v_trunk, p_now)).opens_at)) end,
           case when r.reason = 'cluster_changed' then 'cluster' when r.reason = 'caller_ids_spent' then v_campaign.caller_ids when r.reason like 'campaign%' or r.reason = 'on_trial' then v_campaign.name else v_trunk.name end,
           case r.reason when 'campaign_not_started' then v_campaign.starts_at
                         when 'trunk_held' then v_trunk.held_until
                         when 'caller_ids_spent' then (pgdial.caller_ids_left(v_campaign.caller_ids, v_trunk.name, p_now)).opens_at
                         when 'provider_full' then v_breaker.not_before
                         when 'trunk_full' then o.free_at
                         when 'campaign_full' then least(o.free_at, pgdial.next_step(v_campaign, p_now))
                         when 'pacing' then (pgdial.pace(v_trunk, p_now)).opens_at end
    from unnest(p_lane.reasons) r (reason)
         -- The oldest live call, and when enough of them will have ended for one more.
         left join lateral (
             select count(*)::int as n, (array_agg(c.id order by c.claimed_at, c.id))[1] as id, min(c.claimed_at) as claimed_at,
                    (array_agg(c.deadline_at order by c.claimed_at, c.id))[1] as deadline_at,
                    (array_agg(c.deadline_at order by c.deadline_at))[
                        count(*) + 1 - case r.reason when 'trunk_full' then v_trunk.slots else pgdial.present_cap(v_campaign, p_now) end] as free_at
             from pgdial.calls c
             where c.state in ('dialing', 'unresolved', 'in_call')
               and case r.reason when 'trunk_full' then c.trunk = v_trunk.name else c.campaign = v_campaign.name end
         ) o on r.reason in ('trunk_full', 'campaign_full')
    where r.reason <> 'breaker'
    union all
    select d.* from pgdial.why_doubts(p_lane.trunk) d where 'trunk_full' = any (p_lane.reasons);
end $$;

-- why_breaker: that the breaker of this trunk is open, whether or not its probe is due.
-- p_reasons: all that close the lane, or the trunk: while anything else does, nobody knows when the probe comes.
create or replace function pgdial.why_breaker(p_trunk text, p_reasons text[], p_now timestamptz)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
    select 45, 'breaker', format('the provider of trunk %s fails since %s (%s faults in a row, the last: %s); one call probes it %s',
           b.trunk, pgdial.in_utc(b.opened_at), b.faults, coalesce(pgdial.masked(b.last_fault), 'no words'),
           coalesce('at ' || pgdial.in_utc(p.at), 'as soon as one can be dialled')), b.trunk, p.at
    from pgdial.trunk_breaker b
         cross join lateral (select case when b.not_before > p_now and coalesce(p_reasons, '{}') <@ array['breaker']
                                         then b.not_before end) p (at)
    where b.trunk = p_trunk and b.opened_at is not null;
end $$;

-- why_doubts: the calls in doubt that hold more than a third of a trunk's slots, and what would avoid that.
create or replace function pgdial.why_doubts(p_trunk text)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
    select 59, 'in_doubt', format('calls in doubt hold %s of %s slots of trunk %s: %s', d.in_doubt, d.slots, d.trunk, d.advice),
           d.trunk, null::timestamptz
    from pgdial.doubts(p_trunk) d;
end $$;

-- spent_caller_ids: why a pool has no number left on a trunk, and what ends that.
create or replace function pgdial.spent_caller_ids(p_pool text, p_trunk text, p_now timestamptz) returns text
language plpgsql stable
as $$
begin
    return (
        select case when count(*) = 0 then format('pool %s has no caller id on trunk %s: add one (`pgdial caller-ids add`)', p_pool, p_trunk)
                    else format('of the %s caller ids of pool %s on trunk %s %s: none is left', count(*), p_pool, p_trunk,
                        concat_ws(', ',
                            nullif(count(*) filter (where k.paused), 0) || ' paused',
                            nullif(count(*) filter (where not k.paused and k.rest_until > p_now), 0) || ' resting',
                            nullif(count(*) filter (where not k.paused and coalesce(k.rest_until <= p_now, true)), 0) || ' at the daily cap'))
                    end
        from pgdial.caller_ids k where k.pool = p_pool and k.trunk = p_trunk);
end $$;

-- oldest_live: the call that has held a slot for longest, in words; nothing if there is none.
create or replace function pgdial.oldest_live(p_id uuid, p_since timestamptz, p_until timestamptz) returns text
language plpgsql immutable
as $$
begin
    return case when p_id is null then ''
                else format('; the oldest call, %s, is live since %s, until %s at most', p_id, pgdial.in_utc(p_since),
                            pgdial.in_utc(p_until)) end;
end $$;

-- why_nobody: is there a worker for the trunk, with a free permit, and is the gate free? A permit is held from
-- the claim until the result of the dial is recorded.
create or replace function pgdial.why_nobody(p_lane pgdial.lane, p_now timestamptz)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_permits int;
    v_dialing int;
    v_last pgdial.workers;
    v_gate text := pgdial.gate_holder();
begin
    if p_lane.trunk is null then
        return;
    end if;
    select sum(w.permits), sum(least(w.permits, d.n)) into v_permits, v_dialing
    from pgdial.live_workers w
         cross join lateral (select count(*)::int as n from pgdial.calls c where c.state = 'dialing' and c.claimed_by = w.id) d
    where p_lane.trunk = any (w.trunks) and not w.draining;
    if v_permits is null then
        select w.* into v_last from pgdial.workers w where p_lane.trunk = any (w.trunks) order by w.seen_at desc limit 1;
        return query select 40, 'no_worker', case when v_last.id is null
            then format('no live worker can dial on trunk %s: start `pgdial serve`, or `pgdial work` beside a running API', p_lane.trunk)
            else format('no live worker can dial on trunk %s: the last one, on %s (pid %s), %s at %s', p_lane.trunk, v_last.host,
                        v_last.pid, case when v_last.stopping then 'was stopping' when v_last.draining then 'was told to go, and seen'
                                         else 'was seen' end,
                        pgdial.in_utc(v_last.seen_at)) end, p_lane.trunk, null::timestamptz;
    elsif v_dialing >= v_permits then
        return query select 64, 'no_permit', format('the workers of trunk %s are dialing %s calls, as many as they have permits',
                                                    p_lane.trunk, v_dialing), p_lane.trunk, null::timestamptz;
    end if;
    if v_gate is not null then
        return query select 41, 'gate_held', format('%s holds the gate of the claims: nobody can claim until it lets go', v_gate),
                            v_gate, null::timestamptz;
    end if;
end $$;

-- place_in_line: for a call that nothing keeps from being dialled. It predicts the claim only where that is
-- possible: which of two campaigns gets the last slot is drawn at random. Before it: due calls of its campaign
-- that a claim can take; at most 10,000 are visited.
create or replace function pgdial.place_in_line(
    p_call pgdial.calls, p_lane pgdial.lane, p_flying pgdial.flying[], p_now timestamptz,
    out reason text, out message text, out object text
)
language plpgsql stable
as $$
declare
    v_most constant int := 10000;
    v_due int;           -- of its campaign
    v_rows int;          -- due before it
    v_before int;        -- of these, those that can be dialled
    v_numbers int;       -- and to how many numbers
    v_twin boolean;      -- its own number among them
    v_room constant int := least(p_lane.room, p_lane.trunk_room);
    v_rivals constant text[] := pgdial.rivals(p_call.campaign, p_now);
    v_others int := p_lane.trunk_room;      -- with more than 100 rivals: all of it
    v_place text;
begin
    select count(*)::int, count(*) filter (where a.is_free)::int, count(distinct a.phone) filter (where a.is_free)::int,
           coalesce(bool_or(a.phone = p_call.phone), false)
    into v_rows, v_before, v_numbers, v_twin
    from pgdial.due_before(p_call, v_most + 1, p_now) a;
    v_due := (select count(*) from generate_series(9, 0, -1) q cross join lateral (
                  select c.id from pgdial.calls c
                  where c.state = 'waiting' and c.campaign = p_call.campaign and c.priority = q::smallint and c.run_at <= p_now
                  limit v_most + 1) d);
    v_place := case when v_rows > v_most
        then format('more than %s due calls of campaign %s come before it', to_char(v_most, 'FM999,999'), p_call.campaign)
        else format('%s of %s due calls of campaign %s: %s before it%s', to_char(v_rows + 1, 'FM999,999th'),
                    case when v_due > v_most then 'more than ' || to_char(v_most, 'FM999,999') else to_char(v_due, 'FM999,999') end,
                    p_call.campaign, to_char(v_rows, 'FM999,990'),
                    case when v_before < v_rows then format(', %s of them held back', to_char(v_rows - v_before, 'FM999,990')) else '' end)
        end;
    if cardinality(v_rivals) <= 100 then
        v_others := pgdial.turns_before(p_lane, v_rivals, v_before, p_flying, p_now);
    end if;
    object := p_call.campaign;
    if v_numbers >= v_room and (
        v_rows > 1000 or v_rivals = '{}' or v_numbers - pgdial.shared_numbers(p_call, p_now) >= v_room) then
        reason := 'in_line';
        message := format('%s, and there is room for %s now', v_place, v_room);
    elsif v_rows <= v_most and v_before < v_room and v_before + v_others < p_lane.trunk_room
          and not v_twin and not pgdial.has_twin_elsewhere(p_call, p_now) then
        reason := 'next';
        message := format('nothing stands in its way, the next claim takes it: %s, and there is room for %s now', v_place, v_room);
        object := p_call.id::text;
    else
        reason := 'in_turn';
        message := format('it is dialled with one of the next claims: %s, room for %s now%s', v_place, v_room,
            case when v_others > 0 then format(', and other campaigns share the slots of trunk %s by weight', p_lane.trunk) else '' end);
    end if;
end $$;

-- due_before: the due calls of its campaign before this one, in the order of the claim; is_free: a claim can
-- take it.
create or replace function pgdial.due_before(p_call pgdial.calls, p_most int, p_now timestamptz)
returns table (phone text, is_free boolean)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_open constant int[] := (
        select pgdial.open_areas(g.calling_hours, g.zone_basis, p_now, p_now + pgdial.longest_lease(g.trunk))
        from pgdial.campaigns g where g.name = p_call.campaign and g.calling_hours is not null);
    v_consent constant boolean := coalesce(
        (select g.require_consent from pgdial.campaigns g where g.name = p_call.campaign), false);
begin
    return query
    select d.phone,
           d.phone not in (select n from pgdial.calls c cross join unnest(coalesce(c.numbers, array[c.phone])) n
                           where c.state in ('dialing', 'unresolved', 'in_call'))
           and d.phone not in (select n from pgdial.calls c cross join unnest(coalesce(c.numbers, array[c.phone])) n
                               where c.hold_until > p_now)
           and d.phone not in (select n.phone from pgdial.do_not_call n where n.pending and pgdial.covers(n, p_call.campaign, p_now))
           and d.id not in (select c.id from pgdial.calls c
                            where c.state = 'waiting' and c.campaign = p_call.campaign and v_consent
                              and pgdial.consent_problem(c, p_now) is not null)
           and d.id not in (select c.id from pgdial.calls c where c.state = 'waiting' and c.expires_at <= p_now)
           and (v_open is null or d.area in (select o from unnest(v_open) o))
           and d.id not in (select o.call_id from pgdial.unclaimable o where o.until > p_now)
    from (select b.id, b.phone, b.area
          from generate_series(9, p_call.priority, -1) q
               cross join lateral (
                   select c.id, c.phone, c.area from pgdial.calls c
                   where c.state = 'waiting' and c.campaign = p_call.campaign and c.priority = q::smallint
                     -- An index bound; the next line only breaks ties.
                     and c.run_at <= case when q > p_call.priority then p_now else p_call.run_at end
                     and (q > p_call.priority or (c.run_at, c.id) < (p_call.run_at, p_call.id))
                   order by c.run_at, c.id limit p_most) b
          limit p_most) d;
end $$;

-- rivals: the other campaigns that have due calls; at most 101. By jumping along the index.
create or replace function pgdial.rivals(p_campaign text, p_now timestamptz) returns text[]
language plpgsql stable
as $$
begin
    return array(
        with recursive known (name) as (
            (select c.campaign from pgdial.calls c where c.state = 'waiting' order by c.campaign limit 1)
            union all
            select (select c.campaign from pgdial.calls c where c.state = 'waiting' and c.campaign > k.name order by c.campaign limit 1)
            from known k where k.name is not null
        )
        select k.name from known k
        where k.name <> p_campaign and exists (
            select from generate_series(0, 9) q
                 cross join lateral (
                     select from pgdial.calls c
                     where c.state = 'waiting' and c.campaign = k.name and c.priority = q::smallint and c.run_at <= p_now limit 1) d)
        limit 101);
end $$;

-- shared_numbers: how many of the numbers before it another campaign may ring first. Each of them is one call
-- less before this one.
create or replace function pgdial.shared_numbers(p_call pgdial.calls, p_now timestamptz) returns int
language plpgsql stable
as $$
begin
    return (
        select count(distinct a.phone)::int from pgdial.due_before(p_call, 1000, p_now) a
        where a.is_free and exists (
            select from pgdial.calls t
            where t.phone = a.phone and t.state::text = 'waiting' and t.campaign <> p_call.campaign and t.run_at <= p_now));
end $$;

-- turns_before: how many turns other campaigns of its trunk may have before the (p_before + 1)th of this lane:
-- those with no more load for their weight (pgdial.turns; ties are drawn at random and count as lost here), at
-- most as many as they have calls for.
create or replace function pgdial.turns_before(
    p_lane pgdial.lane, p_rivals text[], p_before int, p_flying pgdial.flying[], p_now timestamptz
) returns int
language plpgsql stable
as $$
begin
    return (
        select count(*)::int
        from pgdial.lanes_of(p_rivals, array[p_lane.trunk], p_flying, p_now) l
             cross join lateral (
                 select row_number() over () - 1 as k
                 from generate_series(0, 9) q
                      cross join lateral (
                          select c.id from pgdial.calls c
                          where c.state = 'waiting' and c.campaign = l.campaign and c.priority = q::smallint and c.run_at <= p_now
                          limit p_lane.trunk_room) d
                 limit least(l.room, p_lane.trunk_room)) t
        where l.room > 0
          and (l.in_flight + t.k) / l.weight::double precision
              <= (p_lane.in_flight + p_before) / p_lane.weight::double precision);
end $$;

-- has_twin_elsewhere: does a due call of another campaign go to the same number? Which of the two comes first
-- is a matter of turns.
create or replace function pgdial.has_twin_elsewhere(p_call pgdial.calls, p_now timestamptz) returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select from pgdial.calls c
        where c.phone = p_call.phone and c.state::text = 'waiting' and c.campaign <> p_call.campaign and c.run_at <= p_now)
        or exists (
        select from pgdial.calls c
        where (c.phone = any (p_call.numbers) or c.numbers && coalesce(p_call.numbers, array[p_call.phone]))
          and c.id <> p_call.id and c.state::text = 'waiting' and c.campaign <> p_call.campaign and c.run_at <= p_now);
end $$;

-- row_holder: whose open transaction has locked or changed this row; null = none. From the row's transaction id
-- (several lockers at once are not seen: the row then has a multixact). Not by trying to lock it: a reader may
-- not.
create or replace function pgdial.row_holder(p_id uuid) returns text
language plpgsql stable
as $$
declare
    v_xid xid := (select c.xmax from pgdial.calls c where c.id = p_id and c.xmax <> '0'::xid);
begin
    return case when v_xid is not null then (
        select pgdial.session_name(l.pid) from pg_locks l
        where l.locktype = 'transactionid' and l.transactionid = v_xid and l.granted limit 1) end;
end $$;

-- gate_holder: who has held the claims' gate for longer than a claim waits for it (2 s); null = nobody.
create or replace function pgdial.gate_holder() returns text
language plpgsql stable
as $$
begin
    return (
        select pgdial.session_name(l.pid)
        from pg_locks l left join pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'advisory' and l.granted and l.classid = x'70676469'::int::oid and l.objid = 1 and l.objsubid = 2
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          -- A claim's own hold lasts milliseconds.
          and (a.state like 'idle%' or a.state_change < clock_timestamp() - '2 seconds'::interval
               or exists (select from pg_locks w where w.locktype = 'advisory' and not w.granted and w.classid = l.classid
                          and w.objid = 1 and w.database = l.database and w.waitstart < clock_timestamp() - '1 second'::interval))
        limit 1);
end $$;

-- session_name: a session in words, as far as this login may see it.
create or replace function pgdial.session_name(p_pid int) returns text
language plpgsql stable
as $$
begin
    return coalesce((
        select format('%s (pid %s%s)', coalesce(nullif(a.application_name, ''), 'a session'), a.pid,
                      ', in a transaction since ' || pgdial.in_utc(a.xact_start))
        from pg_stat_activity a where a.pid = p_pid), 'a session that has ended');
end $$;

-- why_in_flight: what this call is waiting for, and until when.
create or replace function pgdial.why_in_flight(p_call pgdial.calls, p_now timestamptz)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_dial constant text := coalesce(p_call.provider_call_id, p_call.id || '-' || p_call.claim_no);
    v_changed constant text := pgdial.cluster_changed();
    v_account_is_gone constant boolean := pgdial.account_is_gone(p_call);
    v_worker pgdial.workers;
    v_asked text;
begin
    select w.* into v_worker from pgdial.workers w where w.id = p_call.claimed_by;
    select format('; its provider is asked at %s', pgdial.in_utc(greatest(pgdial.look_up_due(p_call), p_now))) into v_asked
    from pgdial.dial_terms(p_call.trunk, p_call.account, p_call.provider_call_id) t
    where t.is_asked and v_changed is null and not v_account_is_gone;
    return query
    select 1, p_call.state::text, case p_call.state
        when 'dialing' then format('a worker%s is dialing since %s, and says what came of it by %s',
            case when v_worker.id is not null then format(' on %s (pid %s%s)', v_worker.host, v_worker.pid,
                case when not exists (select from pgdial.live_workers a where a.id = v_worker.id)
                     then ', last seen at ' || pgdial.in_utc(v_worker.seen_at) else '' end) else '' end,
            pgdial.in_utc(p_call.claimed_at), pgdial.in_utc(p_call.lease_until))
        when 'unresolved' then format('the dial of %s may have reached the provider (%s): awaiting its webhook until %s%s',
            pgdial.in_utc(p_call.claimed_at), pgdial.masked(coalesce(p_call.last_error, 'no words')), pgdial.in_utc(p_call.deadline_at),
            coalesce(v_asked, ''))
        else format('the provider has accepted it, %s: awaiting its final webhook until %s%s',
            case when p_call.answered_at is not null then 'answered at ' || pgdial.in_utc(p_call.answered_at)
                 else 'dialled at ' || pgdial.in_utc(p_call.claimed_at) end, pgdial.in_utc(p_call.deadline_at),
            coalesce(v_asked, '')) end,
        v_dial, case when p_call.state = 'dialing' then p_call.lease_until else p_call.deadline_at end
    union all
    select 2, 'cancel_requested', format('%s asked to cancel it at %s%s: %s',
               p_call.cancel_requested_by, pgdial.in_utc(p_call.cancel_requested_at),
               coalesce(', ' || pgdial.masked(p_call.cancel_requested_why), ''),
               case when (select t.cancels from pgdial.dial_terms(p_call.trunk, p_call.account, p_call.provider_call_id) t)
                    then 'the provider is asked until it agrees or the call ends'
                    else 'its platform ends no calls, so it goes on to its end' end), v_dial, null
    where p_call.cancel_requested_at is not null
    union all
    select 4, 'cluster_changed', format('%s: its provider is neither asked about it nor told to end it until somebody runs `pgdial recover`',
               v_changed), 'cluster', null
    where v_changed is not null
    union all
    select 5, 'other_account', format('it was dialled at %s, and the live workers of trunk %s dial elsewhere: nobody asks about it, '
               'repeats or ends it, until one of that account is back', p_call.account, p_call.trunk), p_call.account, null
    where v_account_is_gone
    union all
    select 3, 'locked', format('%s holds its row: nothing about it is written until that transaction ends', h.who), h.who, null
    from pgdial.row_holder(p_call.id) h (who) where h.who is not null;
end $$;

-- why_over: what ended this call, from its row and its last event.
create or replace function pgdial.why_over(p_call pgdial.calls, p_now timestamptz)
returns table (ord int, reason text, message text, object text, until timestamptz)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_detail jsonb;
begin
    select e.detail into v_detail from pgdial.call_events e
    where e.call_id = p_call.id and e.kind = p_call.state::text order by e.seq desc limit 1;
    return query
    select 1, p_call.state::text, format('it ended at %s%s%s%s%s', pgdial.in_utc(p_call.ended_at),
           case when p_call.outcome is not null then ' as ' || p_call.outcome else '' end,
           case when p_call.attempt > 0 then format(' after attempt %s of %s', p_call.attempt, p_call.max_attempts) else '' end,
           ', by ' || coalesce(v_detail ->> 'by', case when p_call.state = 'canceled' then p_call.cancel_requested_by end),
           coalesce(': ' || case when p_call.state = 'expired' and v_detail ->> 'why' is null
               then 'its expiresAt, ' || pgdial.in_utc(p_call.expires_at) || ', had passed'
               else pgdial.masked(coalesce(v_detail ->> 'why', p_call.last_error, p_call.cancel_requested_why)) end, '')),
           coalesce(p_call.provider_call_id, p_call.id::text), null::timestamptz
    union all
    select 2, 'held', format('nobody knows how its last dial ended: its number stays taken until %s'
               ' (pgdial release ID --why ..., or select pgdial.release(id, why), ends that)', pgdial.in_utc(p_call.hold_until)),
           p_call.id::text, p_call.hold_until
    where p_call.hold_until > p_now;
end $$;

-- in_utc: an instant in words, the same in every session.
create or replace function pgdial.in_utc(p_at timestamptz) returns text
language plpgsql immutable
as $$
begin
    return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || 'Z';
end $$;

-- masked: text of people and providers with every phone number masked, however it is spaced: whatever begins
-- with a +, and any run of nine digits or more. Ids of calls are left whole: people copy them.
create or replace function pgdial.masked(p_words text) returns text
language plpgsql immutable
as $$
declare
    v_masked constant text := chr(92) || '1***' || chr(92) || '2';   -- the digits kept; chr(92): a backslash
begin
    return (
        select string_agg(
            regexp_replace(regexp_replace(m.parts[1],
                '([+](?:[ .()/-]*[[:digit:]]){3})(?:[ .()/-]*[[:digit:]]){2,}?([ .()/-]*[[:digit:]][ .()/-]*[[:digit:]])(?![ .()/-]*[[:digit:]])', v_masked, 'g'),
                '([[:digit:]](?:[ .()/-]*[[:digit:]]){2})(?:[ .()/-]*[[:digit:]]){4,}?([ .()/-]*[[:digit:]][ .()/-]*[[:digit:]])(?![ .()/-]*[[:digit:]])', v_masked, 'g')
            || m.parts[2], '' order by m.n)
        from regexp_matches(p_words, '(.*?)([[:xdigit:]]{8}-(?:[[:xdigit:]]{4}-){3}[[:xdigit:]]{12}|$)', 'g')
             with ordinality m (parts, n));
end $$;

-- why_reasons: every reason that why knows, in the order in which they must change.
--   select pgdial.why_reasons();
create or replace function pgdial.why_reasons() returns text[]
language sql immutable parallel safe
as $$
    select array['suppressed', 'expired', 'no_campaign', 'campaign_over', 'consent_missing', 'consent_expired',
        'cluster_changed', 'trunk_paused', 'campaign_paused', 'campaign_not_started', 'trunk_held', 'caller_ids_spent',
        'scheduled', 'retry_due', 'contact_limit', 'cooldown', 'held_back', 'unclaimable', 'locked',
        'zone_unknown', 'calendar_ended', 'holiday', 'outside_hours',
        'no_worker', 'gate_held', 'breaker', 'provider_full', 'suspect', 'number_taken', 'twin',
        'in_doubt', 'trunk_full', 'campaign_full', 'on_trial', 'pacing', 'no_permit', 'in_line', 'in_turn', 'next',
        'dialing', 'unresolved', 'in_call', 'cancel_requested', 'other_account',
        'completed', 'failed', 'canceled', 'held']
$$;
