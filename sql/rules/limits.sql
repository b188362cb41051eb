-- Contact limits: which of the calls that a claim has chosen may not be dialled yet, because their number has been
-- rung often enough. The claim, and why, judge by the same function (held).
-- Counted behind the gate, so exact: no other claim adds a dial meanwhile. What ends or is undone meanwhile only
-- makes the count smaller, and a number in flight is taken anyway.
-- What is not known counts: a dial without a topic counts for every topic, an unexplained end as a conversation, a
-- callee whose region is not known as being in the limit's region.

-- has_limits: does any limit hold for any campaign? Otherwise nothing is counted and nothing recorded.
-- Index: campaigns_limited.
create or replace function pgdial.has_limits() returns boolean
language plpgsql stable
as $$
begin
    return exists (select from pgdial.campaigns g where g.contact_limits is not null)
        or exists (select from pgdial.contact_limits l where l.all_campaigns);
end $$;

-- keeps_dials: does anything count dials? A limit, or a pool of caller ids.
create or replace function pgdial.keeps_dials() returns boolean
language plpgsql stable
as $$
begin
    return pgdial.has_limits() or exists (select from pgdial.caller_ids k);
end $$;

-- choose_allowed: choose, without the calls that a limit holds: these are put aside until the limit lets them, so
-- that they keep nobody waiting. If all were held, there may be a crowd behind them: a part of it is put aside
-- too, and the choice is made once more.
-- p_singly: put them aside one by one, because together they could not be.
-- put_aside: how many. If any, and too few were chosen, others may be due behind them.
create or replace function pgdial.choose_allowed(
    p_trunks text[], p_most int[], p_wanted int, p_heads pgdial.head[], p_in_flight pgdial.flying[], p_lease interval,
    p_now timestamptz, p_singly boolean, out picked pgdial.picked[], out put_aside int
)
language plpgsql volatile
as $$
declare
    v_held pgdial.held[];
begin
    put_aside := 0;
    for v_round in 1..2 loop
        picked := pgdial.choose(p_trunks, p_most, p_wanted, p_heads, p_in_flight, p_lease, p_now);
        exit when cardinality(picked) = 0 or not pgdial.has_limits();
        v_held := array(select h from pgdial.held(array(select p.id from unnest(picked) p), p_now) h);
        exit when cardinality(v_held) = 0;
        picked := array(select p from unnest(picked) p where p.id not in (select h.id from unnest(v_held) h));
        put_aside := put_aside + case when p_singly then pgdial.put_aside_singly(v_held, p_now)
                                      else pgdial.put_aside(v_held, p_now) end;
        exit when cardinality(picked) > 0 or v_round = 2;
        put_aside := put_aside + pgdial.put_crowd_aside(v_held, p_now);
    end loop;
end $$;

-- held: the limits that keep these waiting calls from being dialled, each with the instant at which it lets them.
-- The instant of the dial that must no longer count: the at_most-th latest one.
-- p_voicemails: instead, the limits of voicemails where the platform can be told to leave none: these hold no call,
-- it hangs up on machines (to_hang_up).
-- Index: the primary key of dials, once for each call, number and limit.
create or replace function pgdial.held(p_ids uuid[], p_now timestamptz, p_voicemails boolean default false) returns setof pgdial.held
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
begin
    return query
    with item as materialized (
        select c.id, coalesce(c.numbers, array[c.phone]) as numbers, c.campaign, c.priority, c.area, c.run_at
        from unnest(p_ids) i (id) join pgdial.calls c on c.id = i.id
    ), rule as materialized (
        select g.name as campaign, g.topic, l as contact_limit,
               coalesce(pgdial.basis_of(g.calling_hours, g.zone_basis), 'given_and_number') as basis
        from (select distinct i.campaign from item i) o
             join pgdial.campaigns g on g.name = o.campaign
             join pgdial.contact_limits l on (l.all_campaigns or l.name = any (g.contact_limits))
                 and (l.counts = 'voicemails' and pgdial.can_hang_up(g.trunk)) = p_voicemails
    )
    select i.id, i.campaign, i.priority, i.area, i.run_at, (r.contact_limit).name, u.until, z.zones
    from item i
         join rule r on r.campaign = i.campaign
         left join pgdial.areas a on a.id = i.area
         cross join lateral pgdial.callee_zones(r.basis, a) z (zones)
         cross join lateral (
             select o.at
             from unnest(i.numbers) n cross join lateral (
                 select d.at from pgdial.dials d
                 where d.phone = n and d.at > p_now - pgdial.longest_reach(r.contact_limit)
                   and pgdial.counts(d, r.contact_limit, i.campaign, r.topic)
                 order by d.at desc limit (r.contact_limit).at_most) o
             order by o.at desc offset (r.contact_limit).at_most - 1 limit 1) d
         cross join lateral pgdial.counts_until(d.at, r.contact_limit, z.zones) u (until)
    where u.until > p_now
      and ((r.contact_limit).regions is null or pgdial.may_be_in((r.contact_limit).regions, pgdial.callee_regions(r.basis, a)));
end $$;

-- counts: does this limit count this dial, for a call of this campaign and topic? Postgres inlines it.
create or replace function pgdial.counts(
    p_dial pgdial.dials, p_limit pgdial.contact_limits, p_campaign text, p_topic text
) returns boolean
language sql stable
as $$
    select case (p_limit).counts
               when 'attempts' then true
               when 'conversations' then (p_dial).conversation is distinct from false
               when 'voicemails' then (p_dial).outcome = 'voicemail'
               else (p_limit).counts in ((p_dial).outcome::text, (p_dial).disposition) end
       and case (p_limit).per
               when 'number_and_campaign' then (p_dial).campaign = p_campaign
               when 'number_and_topic' then coalesce((p_dial).topic = p_topic, true)
               else true end
$$;

-- longest_reach: an older dial counts no more, whatever the zone. The clock may go back within a period of days.
create or replace function pgdial.longest_reach(p_limit pgdial.contact_limits) returns interval
language sql immutable
as $$
    select extract(epoch from (p_limit).period)::double precision * '1 second'::interval
         + case (p_limit).boundary when 'local_day' then '3 hours'::interval else '0' end
$$;

-- counts_until: until when a dial counts. local_day: its own local date is the first of the days, and it counts
-- until the midnight after the last one, in the zone where that comes last. Without a zone that the server
-- knows, as if every day began with the dial.
create or replace function pgdial.counts_until(p_at timestamptz, p_limit pgdial.contact_limits, p_zones text[]) returns timestamptz
language plpgsql stable
as $$
declare
    v_seconds constant double precision := extract(epoch from p_limit.period);
begin
    if p_limit.boundary = 'local_day' and cardinality(p_zones) > 0 then
        return (select max(((p_at at time zone z)::date + (v_seconds / 86400)::int)::timestamp at time zone z)
                from unnest(p_zones) z);
    end if;
    return p_at + v_seconds * '1 second'::interval;
exception when invalid_parameter_value then
    return p_at + v_seconds * '1 second'::interval;
end $$;

-- may_be_in: may a callee of these regions be in one of those of a limit? A country alone may be any part of it.
create or replace function pgdial.may_be_in(p_limit text[], p_callee text[]) returns boolean
language plpgsql immutable
as $$
begin
    return coalesce(cardinality(p_callee), 0) = 0 or exists (
        select from unnest(p_limit) l, unnest(p_callee) c
        where l = c or starts_with(c, l || '-') or starts_with(l, c || '-'));
end $$;

-- put_aside: these calls become due when the latest of their limits lets them. That is a hint, the count is the
-- truth: a claim counts again then. No attempt and no deferral is counted.
create or replace function pgdial.put_aside(p_held pgdial.held[], p_now timestamptz) returns int
language plpgsql volatile
as $$
declare
    v_n int;
begin
    with mine as materialized (
        select c.id, h.name, h.until
        from (select distinct on (h.id) h.id, h.name, h.until from unnest(p_held) h order by h.id, h.until desc, h.name) h
             join pgdial.calls c on c.id = h.id
        where c.state::text = 'waiting' and c.run_at <= p_now
        for no key update of c skip locked
    ), moved as (
        update pgdial.calls c set run_at = m.until, put_aside_until = m.until
        from mine m where c.id = m.id
        returning c.id, c.claim_no, c.attempt, m.name, m.until
    )
    insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
    select p_now, m.id, m.claim_no, m.attempt, 'held_back', jsonb_build_object('limit', m.name, 'until', m.until)
    from moved m;
    get diagnostics v_n = row_count;
    return v_n;
end $$;

-- put_aside_singly: one by one; one that cannot be written is passed over, so that it keeps nobody waiting.
create or replace function pgdial.put_aside_singly(p_held pgdial.held[], p_now timestamptz) returns int
language plpgsql volatile
as $$
declare
    v_id uuid;
    v_n int := 0;
begin
    for v_id in select distinct h.id from unnest(p_held) h loop
        begin
            v_n := v_n + pgdial.put_aside(array(select h from unnest(p_held) h where h.id = v_id), p_now);
        exception when integrity_constraint_violation or raise_exception or data_exception or lock_not_available then
            perform pgdial.pass_over(v_id, sqlerrm, p_now);
        end;
    end loop;
    return v_n;
end $$;

-- put_crowd_aside: the calls that follow these in the queue, as far as limits hold them too: at most 2,000 are
-- looked at. Only those that are put aside are locked.
create or replace function pgdial.put_crowd_aside(p_held pgdial.held[], p_now timestamptz) returns int
language plpgsql volatile
as $$
declare
    v_unclaimable constant uuid[] := array(select o.call_id from pgdial.unclaimable o where o.until > p_now);
    v_ids constant uuid[] := array(
        select k.id
        from (select h.campaign, h.priority, case when g.calling_hours is not null then h.area end as area, min(h.run_at) as run_at
              from unnest(p_held) h join pgdial.campaigns g on g.name = h.campaign group by 1, 2, 3) q
             cross join lateral pgdial.queue(q.campaign, q.priority, q.area, q.run_at, '00000000-0000-0000-0000-000000000000',
                 '{}', v_unclaimable, 2000, p_now) k
        limit 2000);
    v_held constant pgdial.held[] := array(select h from pgdial.held(v_ids, p_now) h);
begin
    return pgdial.put_aside(v_held, p_now);
exception when integrity_constraint_violation or raise_exception or data_exception or lock_not_available then
    return pgdial.put_aside_singly(v_held, p_now);
end $$;

-- is_put_aside: has a contact limit set the time at which it is due? An amend or a retry has set another one.
create or replace function pgdial.is_put_aside(p_call pgdial.calls, p_now timestamptz) returns boolean
language sql immutable
as $$
    select coalesce(p_call.state = 'waiting' and p_call.run_at > p_now and p_call.put_aside_until = p_call.run_at, false)
$$;

-- recheck_one: see each.
create or replace function pgdial.recheck_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
begin
    if not pgdial.is_put_aside(p_call, p_now) then
        verdict := 'not_put_aside';
        return;
    end if;
    -- A held number stays held.
    update pgdial.calls c set run_at = greatest(p_now, c.hold_until), put_aside_until = null
    where c.id = p_call.id and c.state::text = 'waiting';
    perform pgdial.note(p_call, 'rechecked', p_now, jsonb_build_object('by', p_item ->> 'by', 'why', p_item ->> 'why'));
    verdict := 'due';
end $$;

-- note_dials: these calls are dialled now. Called by the claim for those that it has stamped.
create or replace function pgdial.note_dials(p_claimed pgdial.claimed[], p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    if cardinality(p_claimed) > 0 and pgdial.keeps_dials() then
        insert into pgdial.dials (phone, at, campaign, topic, from_number, call_id, claim_no)
        select c.phone, p_now, c.campaign, g.topic, c.from_number, c.id, c.claim_no
        from unnest(p_claimed) c join pgdial.campaigns g on g.name = c.campaign;
    end if;
end $$;

-- undo_dials: these dials certainly rang nobody. p_claims: parallel to p_ids.
-- Index: the primary key of dials.
create or replace function pgdial.undo_dials(p_ids uuid[], p_claims bigint[]) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    delete from pgdial.dials d
    using unnest(p_ids, p_claims) u (id, claim_no)
          join pgdial.calls c on c.id = u.id
          cross join lateral unnest(coalesce(c.numbers, array[c.phone])) n (phone)
    where d.phone = n.phone and d.call_id = u.id and d.claim_no = u.claim_no;
end $$;

-- undo_dial: the same for one.
create or replace function pgdial.undo_dial(p_id uuid, p_claim_no bigint) returns void
language plpgsql volatile
as $$
begin
    perform pgdial.undo_dials(array[p_id], array[p_claim_no]);
end $$;

-- end_dials: how these dials ended.
create or replace function pgdial.end_dials(p_endings pgdial.ending[]) returns void
language plpgsql volatile
as $$
begin
    if pgdial.keeps_dials() then
        update pgdial.dials d
        set outcome = e.outcome, conversation = pgdial.was_conversation(e.outcome, e.answered_at is not null),
            disposition = e.disposition
        from unnest(p_endings) e
        where d.phone = e.phone and d.call_id = e.id and d.claim_no = e.claim_no;
    end if;
end $$;

-- was_conversation: null: nobody knows.
create or replace function pgdial.was_conversation(p_outcome pgdial.outcome, p_answered boolean) returns boolean
language sql immutable
as $$
    select case when p_outcome = 'voicemail' then false
                when p_answered or p_outcome = 'answered' then true
                when p_outcome <> 'unknown' then false end
$$;

-- dial_rang: a report shows that an earlier dial, or one that was lost, did ring. One that was undone is recorded
-- again, with the time of its claim.
create or replace function pgdial.dial_rang(
    p_call pgdial.calls, p_claim_no bigint, p_outcome pgdial.outcome, p_answered boolean, p_now timestamptz
) returns void
language plpgsql volatile
as $$
declare
    v_conversation constant boolean := pgdial.was_conversation(p_outcome, p_answered);
    v_phone constant text := pgdial.dialled(p_call, p_claim_no);
begin
    if p_call.phone = 'forgotten' or not pgdial.keeps_dials() then
        return;
    end if;
    update pgdial.dials d
    set outcome = coalesce(p_outcome, d.outcome), conversation = coalesce(v_conversation, d.conversation)
    where d.phone = v_phone and d.call_id = p_call.id and d.claim_no = p_claim_no;
    if not found then
        insert into pgdial.dials (phone, at, campaign, topic, from_number, outcome, conversation, call_id, claim_no)
        select v_phone, coalesce(a.at, p_now), p_call.campaign, (select g.topic from pgdial.campaigns g where g.name = p_call.campaign),
               coalesce(a.caller_id, p_call.from_number), p_outcome, v_conversation, p_call.id, p_claim_no
        from (values (true)) o
             left join lateral (select e.at, e.detail ->> 'caller_id' as caller_id from pgdial.call_events e
                                where e.call_id = p_call.id and e.claim_no = p_claim_no and e.kind = 'active'
                                order by e.seq limit 1) a on true
        on conflict do nothing;
    end if;
end $$;

-- drop_dials: those that no limit counts any more. With caller ids they are kept for 30 days, so that a callee is rung
-- from the same number again. Part of housekeeping.
create or replace function pgdial.drop_dials(p_now timestamptz) returns int
language plpgsql volatile
set enable_seqscan = off
as $$
declare
    v_kept constant interval := '1 day'::interval + greatest((
        select max(pgdial.longest_reach(l)) from pgdial.contact_limits l
        where l.all_campaigns or exists (select from pgdial.campaigns g where l.name = any (g.contact_limits))),
        case when exists (select from pgdial.caller_ids k) then '30 days'::interval else '0' end);
    v_n int;
begin
    delete from pgdial.dials d
    where d.ctid = any (array(select o.ctid from pgdial.dials o where o.at < p_now - v_kept limit 50000));
    get diagnostics v_n = row_count;
    return v_n;
end $$;
