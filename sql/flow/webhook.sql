-- webhook: keep an event whose signature was verified, once, and apply it, in one transaction. An event is
-- identified by trunk, reference, id and body: the same id with another body is another event.
-- p_items: [{trunk, reference?, event_id, signed_at_ms?, signed_within?, body (base64), report}].
-- reference: from the URL, its tag verified; null = match by the reference in the body, else by the provider's id.
-- signed_at_ms: unix time; more than signed_within (seconds; default 300) from the database's clock is too_old:
-- no row.
-- p_wait: deliveries that were already tried in a batch: not counted again.
-- Verdicts: applied, noted, stale, late_answer, mismatch, parked, unparsable, unmatched (nothing in it
-- identifies a call), duplicate (kept before, nothing changes), too_old, no_room (not kept: see has_room), foreign
-- (not kept: see is_foreign).
-- detail: {freed}: a slot or number was freed.
-- New events that follow their call's present dial are applied together (apply_together); the others, and all
-- if that fails, one by one.
-- Races: the row is locked first. If it is locked by others, or unknown so far, the event is parked, and
-- applied by the sweep, or by `dialed` when it stores the provider's id. First writer wins.
-- Index: primary key, calls_provider_id, webhook_events_once; pinned, since the plans are generic: planning
-- costs more than the rest.
create or replace function pgdial.webhook(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_item record;
    v_ids uuid[];
    v_locked uuid[];
    v_done int[];
    v_noted int[];
    v_freed int[];
    v_call_id uuid;
    v_taken boolean;
begin
    v_ids := array(
        select coalesce(pgdial.reference_call(i ->> 'reference'), pgdial.event_call(i ->> 'trunk', null, i -> 'report'))
        from jsonb_array_elements(p_items) i);
    begin
        -- Locked and updated in one subtransaction, see lock_calls.
        v_locked := pgdial.lock_calls(v_ids, p_wait);
        v_now := pgdial.now();
        select t.done, t.noted, t.freed into v_done, v_noted, v_freed from pgdial.apply_together(p_items, v_locked, v_now) t;
    exception when integrity_constraint_violation or data_exception or raise_exception then
        v_locked := pgdial.lock_calls(v_ids, p_wait);
        v_now := pgdial.now();
        v_done := '{}';
    end;
    return query select d.n, case when d.n = any (v_noted) then 'noted' else 'applied' end,
                        jsonb_build_object('freed', d.n = any (v_freed)) from unnest(v_done) d (n);
    if cardinality(v_done) = jsonb_array_length(p_items) then
        return;
    end if;

    for v_item in select n::int as n, i from jsonb_array_elements(p_items) with ordinality as e (i, n)
                  where n <> all (v_done)
                  order by v_ids[n], n
    loop
        ordinal := v_item.n;
        v_call_id := pgdial.event_call(v_item.i ->> 'trunk', v_item.i ->> 'reference', v_item.i -> 'report');
        v_taken := pgdial.is_taking(v_call_id, v_now);
        verdict := pgdial.keep_event(v_item.i, v_call_id, v_call_id = any (v_locked), p_wait, v_now);
        detail := jsonb_build_object('freed', v_taken and not pgdial.is_taking(v_call_id, v_now));
        return next;
    end loop;
end $$;

-- apply_together: the plain events of a batch, in few statements. Plain: new, in time, of a call that we hold,
-- about its present dial and its provider id, and of a kind that `judge` would have accepted, answered or
-- settled, or noted while it is in flight. A call's first event that is not plain, and those after it, are left to the one-by-one path, so that
-- each call gets its events in order.
-- p_locked: the calls that we hold. done: the ordinals that are done with. noted: those of them that say nothing of
-- the call's state. freed: those of them that freed a
-- slot or number, or ended the trial of a campaign.
-- Races: an event that another session parks at this moment (we hold its call's row, so nothing else applies
-- it) fails the whole batch, which then goes one by one.
create or replace function pgdial.apply_together(
    p_items jsonb, p_locked uuid[], p_now timestamptz, out done int[], out noted int[], out freed int[]
)
language plpgsql volatile
as $$
declare
    v_kept bigint;
    v_ended int[];
    v_ids uuid[];
    v_reports jsonb[];
    v_accepted uuid[];
    v_campaigns text[];
    v_trunks text[];
begin
    with item as (
        select e.n::int as n, e.i ->> 'trunk' as trunk, coalesce(e.i ->> 'reference', '') as reference,
               e.i ->> 'event_id' as event_id, decode(e.i ->> 'body', 'base64') as body, e.i -> 'report' as report,
               e.i -> 'report' ->> 'kind' as kind, e.i -> 'report' ->> 'provider_call_id' as name,
               pgdial.event_reference(e.i ->> 'reference', e.i -> 'report') as named,
               coalesce(pgdial.reference_call(e.i ->> 'reference'),
                        pgdial.event_call(e.i ->> 'trunk', null, e.i -> 'report')) as call_id,
               not pgdial.is_too_old(e.i, p_now) as in_time
        from jsonb_array_elements(p_items) with ordinality as e (i, n)
    ), about as (
        select t.*, pgdial.body_digest(t.body) as digest, c.claim_no, c.attempt, c.campaign, c.trunk as its_trunk, c.provider_call_id as its_name,
               c.state, c.answered_at, pgdial.report_kind(t.report, false) as says,
               case when t.named is not null then pgdial.reference_claim_no(t.named)
                    when pgdial.same_name(t.name, c.provider_call_id) then c.claim_no end as event_claim_no,
               array_agg(t.kind) filter (where t.kind <> 'unknown') over earlier as kinds,
               (array_agg(t.name) filter (where t.name is not null) over earlier)[1] as first_name,
               count(*) over (partition by t.trunk, t.reference, t.event_id, pgdial.body_digest(t.body) order by t.n) as nth
        from item t join pgdial.calls c on c.id = t.call_id
        where t.call_id = any (p_locked)
        window earlier as (partition by t.call_id order by t.n rows between unbounded preceding and 1 preceding)
    ), plain as (
        select a.*, coalesce(a.its_name, a.first_name, a.name) as known,
               bool_and(coalesce(
                   a.in_time and a.nth = 1
                   and (pgdial.judge(a.state, a.claim_no, false, true, false, a.event_claim_no, a.says) in ('accept', 'answer', 'settle')
                        or a.kind = 'unknown' and a.event_claim_no = a.claim_no and a.its_name is not null
                           and a.state in ('dialing', 'unresolved', 'in_call') and not pgdial.proves_answer(a.report))
                   and (a.kind <> 'answered' or coalesce(pgdial.who_answered(a.report), 'human') = 'human')
                   -- If neither the row nor the outcome shows the answer, decide_ending cannot know of it.
                   and (a.kind <> 'ended' or a.report ->> 'outcome' in ('answered', 'voicemail')
                        or not pgdial.proves_answer(a.report))
                   and a.trunk = a.its_trunk and pgdial.names_dial(a.report, a.call_id, a.claim_no)
                   and coalesce(pgdial.same_name(a.name, coalesce(a.its_name, a.first_name)), true)
                   -- Nothing is parked for the provider id that it stores: is_awaited, inlined to save a
                   -- statement per item.
                   and (a.its_name is not null or (
                        select w.id from pgdial.webhook_events w
                        where w.verdict in ('parked', 'unmatched') and w.trunk = a.trunk and w.reference is not distinct from ''
                          and w.call_id is null
                          and w.report ->> 'provider_call_id' = any (pgdial.spellings(a.name)) limit 1) is null)
                   and coalesce('ended' <> all (a.kinds), true)
                   -- Not "exists", which the planner may implement by hashing the whole table.
                   and (select w.id from pgdial.webhook_events w
                        where w.trunk = a.trunk and w.reference = a.reference and w.event_id = a.event_id
                          and w.body_digest = a.digest) is null,
                   false)) over (partition by a.call_id order by a.n) as is_plain
        from about a
    ), heard as (
        select p.call_id, p.claim_no, max(p.known) as name,
               bool_or(p.kind <> 'ended') as accepted, bool_or(p.kind = 'answered') as answered,
               bool_or(p.kind = 'answered' and pgdial.who_answered(p.report) is not null) as by_human
        from plain p where p.is_plain and p.kind <> 'unknown' group by p.call_id, p.claim_no
    ), moved as (
        -- Progress never moves a state backwards, and answered_at is written once: see accept_call.
        update pgdial.calls c
        set state = case when h.accepted then 'in_call' else c.state end,
            lease_until = case when not h.accepted then c.lease_until end,
            answered_at = case when h.answered then coalesce(c.answered_at, p_now) else c.answered_at end,
            answered_by = case when h.by_human then 'human' else c.answered_by end,
            provider_call_id = coalesce(c.provider_call_id, h.name)
        from heard h
        where c.id = h.call_id and c.claim_no = h.claim_no and c.state::text in ('dialing', 'unresolved', 'in_call')
          and (h.accepted and c.state::text <> 'in_call' or h.answered and c.answered_at is null
               or h.by_human and c.answered_by is distinct from 'human'
               or c.provider_call_id is null and h.name is not null)
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select p_now, p.call_id, p.claim_no, p.attempt, k.kind, jsonb_strip_nulls(k.detail || jsonb_build_object(
                   'status', p.report ->> 'status', 'event_claim_no', p.claim_no))
        from plain p, lateral (values
            ('in_call', p.kind <> 'ended' and p.state <> 'in_call' and p.kinds is null,
             jsonb_build_object('provider_call_id', p.known, 'by', 'webhook')),
            ('answered', p.kind = 'answered' and p.answered_at is null and coalesce('answered' <> all (p.kinds), true), '{}')
        ) k (kind, happens, detail)
        where p.is_plain and p.kind <> 'unknown' and k.happens
        order by p.n, k.kind desc
    ), kept as (
        insert into pgdial.webhook_events (trunk, reference, event_id, body_digest, received_at, last_delivery_at,
                                           try_at, verdict, call_id, report, body)
        select p.trunk, p.reference, p.event_id, p.digest, p_now, p_now,
               p_now + '1 second'::interval, case when p.kind = 'unknown' then 'noted' else 'applied' end, p.call_id, p.report, p.body
        from plain p where p.is_plain
        order by p.trunk, p.reference, p.event_id, p.digest
        on conflict do nothing
        returning 1
    )
    select coalesce(array_agg(p.n), '{}'), array_agg(p.n) filter (where p.kind = 'unknown'),
           array_agg(p.n) filter (where p.kind = 'ended'),
           array_agg(p.call_id) filter (where p.kind = 'ended'),
           array_agg(p.report) filter (where p.kind = 'ended'), (select count(*) from kept),
           array_agg(p.call_id) filter (where p.is_first),
           array_agg(distinct p.campaign) filter (where p.is_first),
           array_agg(distinct p.trunk) filter (where p.is_first)
    into done, noted, v_ended, v_ids, v_reports, v_kept, v_accepted, v_campaigns, v_trunks
    from (select q.*, q.kind <> 'unknown' and q.state <> 'in_call' and q.kinds is null as is_first from plain q) p
    where p.is_plain;
    if v_kept < cardinality(done) then
        raise exception 'somebody has kept an event of this batch at this moment';
    end if;

    freed := '{}';
    -- The first report about a dial, even its end, shows that it was accepted.
    if v_accepted is not null and pgdial.accepted(v_accepted, v_campaigns, v_trunks, p_now) then
        freed := done[1:1];
    end if;
    if v_ended is null then
        return;
    end if;
    perform pgdial.end_attempts(array(
        select pgdial.decide_ending(l.c, g, (l.report ->> 'outcome')::pgdial.outcome,
                                    pgdial.report_detail(l.report, (l.c).claim_no) || pgdial.report_said(l.report),
                                    pgdial.report_result(l.report), p_now)
        from (select c, e.report, e.n from unnest(v_ended, v_ids, v_reports) e (n, id, report)
                   join pgdial.calls c on c.id = e.id) l
             left join pgdial.campaigns g on g.name = (l.c).campaign
        order by l.n), p_now);
    freed := freed || array(select e.n from unnest(v_ended, v_ids) e (n, id) where not pgdial.is_taking(e.id, p_now));
end $$;

-- event_call: the call that an event is about: by the reference, else the trunk's call with the provider's id.
-- Null: unknown so far. A reference in the body counts only if its call is here: see is_foreign.
create or replace function pgdial.event_call(p_trunk text, p_reference text, p_report jsonb) returns uuid
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_named constant uuid := pgdial.reference_call(pgdial.event_reference(p_reference, p_report));
begin
    if p_reference is not null then
        return v_named;
    elsif v_named is not null and exists (select from pgdial.calls c where c.id = v_named) then
        return v_named;
    end if;
    -- No "order by id desc limit 1": the planner could walk all ids for it.
    return (select (array_agg(c.id order by c.id desc))[1] from pgdial.calls c
            where c.trunk = p_trunk and c.provider_call_id = any (pgdial.spellings(p_report ->> 'provider_call_id')));
end $$;

-- event_reference: the reference that an event names: in its URL, with a tag, else in its body. The body's needs no
-- tag: the signature covers it, so it cannot be sent to the URL of another dial, and it is what the account was
-- given with the dial. Null: none.
create or replace function pgdial.event_reference(p_reference text, p_report jsonb) returns text
language sql immutable
as $$
    select coalesce(nullif(p_reference, ''), substring(lower(p_report ->> 'reference')
        from '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[1-9][0-9]{0,17}$'))
$$;

-- is_foreign: is this event, whose call is not known here, certainly about a call of other software, or of
-- another pgdial, on the same account? Either the adapter says so (report.foreign), or the body names a
-- reference of which there is no call here: a call is committed before its provider hears of it.
-- Never while a dial of the trunk whose id is not known is in doubt, nor while commits may be missing (recover):
-- then it is kept, in case it is ours after all. Index: calls_in_flight.
create or replace function pgdial.is_foreign(p_trunk text, p_report jsonb) returns boolean
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    if (p_report ->> 'foreign')::boolean is not true and pgdial.event_reference(null, p_report) is null then
        return false;
    end if;
    return not exists (select from pgdial.calls c
                       where c.state = 'unresolved' and c.trunk = p_trunk and c.provider_call_id is null)
       and not exists (select from pgdial.cluster k where k.lost_since is not null)
       and pgdial.cluster_changed() is null;
end $$;

-- body_digest: distinguishes bodies.
create or replace function pgdial.body_digest(p_body bytea) returns bytea
language sql immutable
as $$ select substr(sha256(p_body), 1, 16) $$;

-- is_awaited: is an event parked that waits for a call with this provider id? See apply_parked. One whose call is
-- known, by the reference in its body, waits for that call's row, or is being applied right now.
create or replace function pgdial.is_awaited(p_trunk text, p_name text) returns boolean
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    return (select w.id from pgdial.webhook_events w
            where w.verdict in ('parked', 'unmatched') and w.trunk = p_trunk and w.reference is not distinct from ''
              and w.call_id is null
              and w.report ->> 'provider_call_id' = any (pgdial.spellings(p_name)) limit 1) is not null;
end $$;

-- reference_call, reference_claim_no: the parts of a reference, <call id>-<claim_no>; the id is a uuid, 36
-- characters long.
create or replace function pgdial.reference_call(p_reference text) returns uuid
language sql immutable
as $$ select left(p_reference, 36)::uuid $$;

create or replace function pgdial.reference_claim_no(p_reference text) returns bigint
language sql immutable
as $$ select substr(p_reference, 38)::bigint $$;

-- is_too_old: signed more than 300 s, or what its scheme allows, from the database's clock. An event without a
-- time never is.
create or replace function pgdial.is_too_old(p_item jsonb, p_now timestamptz) returns boolean
language sql stable
as $$ select coalesce(abs(extract(epoch from p_now) - (p_item ->> 'signed_at_ms')::numeric / 1000)
               > coalesce((p_item ->> 'signed_within')::int, 300), false) $$;

-- is_taking: does this call take its number (in flight, or held)?
create or replace function pgdial.is_taking(p_id uuid, p_now timestamptz) returns boolean
language plpgsql stable
as $$
begin
    return coalesce((select c.state::text in ('dialing', 'unresolved', 'in_call') or coalesce(c.hold_until > p_now, false)
                     from pgdial.calls c where c.id = p_id), false);
end $$;

-- keep_event: one item: insert the event; it is applied only if it is new or still parked.
create or replace function pgdial.keep_event(
    p_item jsonb, p_call_id uuid, p_locked boolean, p_again boolean, p_now timestamptz
) returns text
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_report constant jsonb := p_item -> 'report';
    v_body constant bytea := decode(p_item ->> 'body', 'base64');
    v_event pgdial.webhook_events;
    v_is_new boolean;
begin
    if pgdial.is_too_old(p_item, p_now) then
        return 'too_old';
    elsif p_call_id is null and pgdial.is_foreign(p_item ->> 'trunk', v_report) then
        return 'foreign';
    elsif p_call_id is null and not p_again and not pgdial.has_room(p_item ->> 'trunk', p_now) then
        return 'no_room';
    end if;
    insert into pgdial.webhook_events as w (trunk, reference, event_id, body_digest, received_at, last_delivery_at,
                                            try_at, verdict, call_id, report, body)
    values (p_item ->> 'trunk', coalesce(p_item ->> 'reference', ''), p_item ->> 'event_id', pgdial.body_digest(v_body),
            p_now, p_now, p_now + '1 second',
            case when v_report ->> 'kind' = 'unparsable' then 'unparsable'
                 when coalesce(pgdial.event_reference(p_item ->> 'reference', v_report),
                               v_report ->> 'provider_call_id') is null then 'unmatched'
                 else 'parked' end,
            p_call_id, v_report, v_body)
    on conflict (trunk, reference, event_id, body_digest) do update
        set deliveries = w.deliveries + case when p_again then 0 else 1 end, last_delivery_at = excluded.last_delivery_at,
            -- Its call was unknown when it came and is known by now.
            verdict = case when w.verdict = 'unmatched' and p_call_id is not null then 'parked' else w.verdict end,
            call_id = coalesce(w.call_id, p_call_id)
    returning w.* into v_event;
    v_is_new := v_event.deliveries = 1;
    if p_call_id is null and v_is_new and not p_again then
        perform pgdial.take_room(v_event, p_now);
    end if;
    if v_event.verdict = 'unparsable' and v_is_new and p_locked
       and pgdial.adds_result(v_event, pgdial.event_claim_no(v_event), p_now) then
        -- A body without a status word moves no call. After the end it may still bring an analysis.
        update pgdial.webhook_events w set verdict = 'applied' where w.id = v_event.id;
        return 'applied';
    elsif v_event.verdict <> 'parked' then
        return case when v_is_new then v_event.verdict else 'duplicate' end;
    end if;
    return pgdial.apply_event(v_event, p_call_id, p_locked, p_now, null);
end $$;

-- adds_result: an event that no longer moves its call may still add to its result. The caller holds the call's
-- row.
create or replace function pgdial.adds_result(p_event pgdial.webhook_events, p_claim_no bigint, p_now timestamptz)
returns boolean
language plpgsql volatile
as $$
declare
    v_call pgdial.calls;
begin
    select c.* into v_call from pgdial.calls c where c.id = p_event.call_id;
    return found and coalesce(pgdial.report_fits(v_call, p_claim_no, p_event.trunk, p_event.report), false)
       and pgdial.add_result(v_call, p_claim_no, p_event.report, pgdial.report_detail(p_event.report, p_claim_no), p_now);
end $$;

-- adopt_name: some providers return one id for a dial and report on it under another. The tag in the URL proves
-- which dial is meant, so the first report decides the dial's provider id, and the returned id stays in the
-- history. Not if a report named the dial before (then this leg is another, and what becomes of it says nothing
-- about ours), and never an id that another call has.
create or replace function pgdial.adopt_name(p_event pgdial.webhook_events, p_claim_no bigint, p_now timestamptz)
returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_name constant text := p_event.report ->> 'provider_call_id';
    v_call pgdial.calls;
begin
    if p_event.reference = '' or v_name is null or p_event.report ->> 'kind' not in ('progress', 'answered', 'ended') then
        return;
    end if;
    select c.* into v_call from pgdial.calls c where c.id = p_event.call_id;
    if v_call.claim_no = p_claim_no and v_call.trunk = p_event.trunk
       and v_call.state::text in ('dialing', 'unresolved', 'in_call')
       and not pgdial.same_name(v_call.provider_call_id, v_name)
       and pgdial.names_dial(p_event.report, v_call.id, p_claim_no)
       and pgdial.event_call(p_event.trunk, null, p_event.report) is null
       and not exists (select from pgdial.webhook_events w
                       where w.trunk = p_event.trunk and w.reference = p_event.reference and w.id <> p_event.id
                         and w.verdict = 'applied' and w.report ->> 'provider_call_id' is not null) then
        update pgdial.calls c set provider_call_id = v_name
        where c.id = v_call.id and c.claim_no = p_claim_no and c.state::text in ('dialing', 'unresolved', 'in_call');
        perform pgdial.note(v_call, 'renamed', p_now, jsonb_build_object(
            'provider_call_id', v_name, 'was', v_call.provider_call_id,
            'why', 'the provider reports on it under another id than it answered with'));
    end if;
end $$;

-- event_claim_no: the claim of its call that an event is about. Null: none.
create or replace function pgdial.event_claim_no(p_event pgdial.webhook_events) returns bigint
language plpgsql stable
as $$
declare
    v_named constant text := pgdial.event_reference(p_event.reference, p_event.report);
begin
    return case when v_named is not null then pgdial.reference_claim_no(v_named)
                else pgdial.named_claim_no(p_event.call_id, p_event.report ->> 'provider_call_id') end;
end $$;

-- has_room: may this trunk's account send more events about calls that are unknown here? Those are limited per
-- hour; events about our calls are not counted.
create or replace function pgdial.has_room(p_trunk text, p_now timestamptz) returns boolean
language plpgsql stable
as $$
begin
    return not exists (select from pgdial.trunk_inbox i
                       where i.trunk = p_trunk and i.since > p_now - '1 hour'::interval and i.bytes >= i.most_bytes);
end $$;

-- take_room: count one more of those, with a kilobyte for the row and its index entries. If the counter is
-- locked, the event is kept and not counted, rather than waiting.
create or replace function pgdial.take_room(p_event pgdial.webhook_events, p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_bytes constant bigint := 1024 + octet_length(p_event.body) + octet_length(p_event.report::text);
begin
    perform from pgdial.trunk_inbox i where i.trunk = p_event.trunk for update skip locked;
    if found then
        update pgdial.trunk_inbox i
        set since = case when i.since > p_now - '1 hour'::interval then i.since else p_now end,
            bytes = case when i.since > p_now - '1 hour'::interval then i.bytes else 0 end + v_bytes
        where i.trunk = p_event.trunk;
    else
        insert into pgdial.trunk_inbox (trunk, since, bytes) values (p_event.trunk, p_now, v_bytes)
        on conflict (trunk) do nothing;
    end if;
end $$;

-- apply_event: apply a parked event whose row we hold, and store the verdict. One that cannot be applied (a
-- constraint) stays parked: it is never lost and affects no other; the sweep tries it again, less and less
-- often.
-- p_claim_no: the dial that its provider's id is of, where the caller knows it; null = as the rows say. An event before
-- it may have ended that dial, which takes the id off the row.
create or replace function pgdial.apply_event(
    p_event pgdial.webhook_events, p_call_id uuid, p_locked boolean, p_now timestamptz, p_claim_no bigint
) returns text
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_verdict text;
    v_claim_no bigint;
begin
    if p_call_id is null then
        return 'parked';    -- the provider's id may be stored any moment
    elsif not coalesce(p_locked, false) and exists (select from pgdial.calls c where c.id = p_call_id) then
        return 'parked';    -- another transaction holds the row
    end if;
    p_event.call_id := p_call_id;
    v_claim_no := coalesce(pgdial.event_claim_no(p_event), p_claim_no);
    begin
        perform pgdial.adopt_name(p_event, v_claim_no, p_now);
        v_verdict := pgdial.apply_report(p_call_id, v_claim_no, p_event.trunk, p_event.report, p_now);
        if v_verdict in ('stale', 'noted') and pgdial.adds_result(p_event, v_claim_no, p_now) then
            v_verdict := 'applied';
        end if;
    exception when integrity_constraint_violation or data_exception or raise_exception then
        raise warning 'pgdial: webhook event % is applied without its result: %', p_event.id, sqlerrm;
        begin
            -- The outcome must not be lost because of the other fields.
            v_verdict := pgdial.apply_report(p_call_id, v_claim_no, p_event.trunk, p_event.report - 'result', p_now);
        exception when integrity_constraint_violation or data_exception or raise_exception then
            raise warning 'pgdial: webhook event % stays parked: %', p_event.id, sqlerrm;
            return 'parked';
        end;
    end;
    update pgdial.webhook_events w set verdict = v_verdict, call_id = p_call_id where w.id = p_event.id;
    return v_verdict;
end $$;

-- named_claim_no: the claim of the call that has this provider id. A retry clears it on the row, the history
-- keeps it. Null: none.
create or replace function pgdial.named_claim_no(p_call_id uuid, p_provider_call_id text) returns bigint
language plpgsql stable
as $$
begin
    return coalesce(
        (select c.claim_no from pgdial.calls c
         where c.id = p_call_id and pgdial.same_name(c.provider_call_id, p_provider_call_id)),
        (select e.claim_no from pgdial.call_events e
         where e.call_id = p_call_id and pgdial.same_name(e.detail ->> 'provider_call_id', p_provider_call_id)
         order by e.seq desc limit 1));
end $$;

-- apply_parked: apply the events that came before the provider's id was stored; called by every verb that
-- stores it. The caller holds the call's row; an event that another session is applying is left to it (skip
-- locked).
-- Races: an event that comes at this very moment is seen by neither side: sweep_unmatched finds it.
create or replace function pgdial.apply_parked(p_call pgdial.calls, p_provider_call_id text, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_event pgdial.webhook_events;
begin
    for v_event in
        select w.* from pgdial.webhook_events w
        where w.verdict in ('parked', 'unmatched') and w.trunk = p_call.trunk
          and w.reference is not distinct from ''     -- keeps off webhook_events_once, which has the settled ones too
          and w.call_id is null
          and w.report ->> 'provider_call_id' = any (pgdial.spellings(p_provider_call_id))
        order by w.id for update skip locked
    loop
        perform pgdial.apply_event(v_event, p_call.id, true, p_now, p_call.claim_no);
    end loop;
end $$;
