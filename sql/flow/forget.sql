-- forget: remove a person's number, and what was said on the phone, from every table. A call that lists it among
-- several loses all of them; where else the others occur, forget them too. What remains of their
-- calls is that they took place: when, on which campaign and trunk, how they ended.
-- p_why: required, for the audit: the legal ground. p_limit: calls per batch.
-- p_do_not_call: what happens to the number's entry on the do-not-call list. keep: an existing entry stays,
-- with its reason, since without it the person would be rung again; add: an entry is made, the one place that
-- then has the number; remove: the entry is deleted too.
-- p_dry_run: only count.
-- Returns {verdict, dryRun, counts, more, call, until}. Verdicts: forgotten (more: call again), in_flight and
-- held (a call to the number rings, or may ring: not before it is over, P1), key_needed (an idempotency key
-- younger than 24 h contains the number, and a repeat of its request must not ring: not before `until`, or
-- with p_do_not_call = add), locked_out (another transaction holds a row: nothing was done).
-- Waiting calls are canceled first. Idempotency keys younger than 24 h stay until then; a repeat of their
-- request gets key_reused, since its hash is gone, and does not ring. The rows of webhook_events stay without
-- their bodies, so that a repeated delivery is recognised. What arrives about these calls within 30 days is
-- emptied by housekeeping (forget_rest).
-- Not covered: the number in the metadata of calls to others, and in unmatched events; pgdial.mentions counts
-- those. Dead rows go with the next vacuum, backups when they expire.
--   select pgdial.forget('+14155550101', 'Art. 17 GDPR, ticket 4711', p_dry_run => true);
-- Index: calls_phone, calls_numbers, call_events_by_call, webhook_events_once; acts, trunks and
-- campaigns are scanned in full.
-- Races: rows are locked before they are judged; an enqueue that commits meanwhile is a new call.
create or replace function pgdial.forget(
    p_phone text, p_why text, p_dry_run boolean default false, p_do_not_call text default 'keep',
    p_limit int default 1000, p_by text default session_user
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set jit = off
set lock_timeout = '2s'
as $$
declare
    v_phone constant text := pgdial.needed_phone(p_phone, null, '"to"');
    v_ids uuid[];
    v_more boolean;
    v_answer jsonb;
    v_counts jsonb;
begin
    if p_do_not_call is null or p_do_not_call not in ('keep', 'add', 'remove') then
        raise exception '"doNotCall" is keep, add or remove' using errcode = 'invalid_parameter_value';
    end if;
    perform pgdial.check_batch(p_why, p_limit);
    v_ids := array(select c from pgdial.calls_to(v_phone, '00000000-0000-0000-0000-000000000000',
                                                 case when p_dry_run then 10000 else p_limit end) c);
    if not p_dry_run and cardinality(pgdial.lock_calls(v_ids, true)) < cardinality(v_ids) then
        return jsonb_build_object('verdict', 'locked_out', 'dryRun', false);
    end if;
    v_more := exists (select from pgdial.calls_to(v_phone, v_ids[cardinality(v_ids)], 1));
    v_counts := pgdial.count_number(v_phone, v_ids, p_do_not_call, not v_more);
    v_answer := pgdial.may_forget(v_phone, p_do_not_call, pgdial.now())
        || jsonb_build_object('dryRun', p_dry_run, 'counts', v_counts, 'more', v_more);
    if p_dry_run or v_answer ->> 'verdict' <> 'forgotten' then
        return v_answer;
    end if;

    if v_ids <> '{}' then
        perform pgdial.cancel_to_forget(v_ids, p_by);
        perform pgdial.empty_calls(v_ids, pgdial.now(), p_by);
    end if;
    if not v_more then
        perform pgdial.empty_list(v_phone, p_do_not_call, p_by);
        perform pgdial.empty_words(v_phone);
        delete from pgdial.dials d where d.phone = v_phone;
    end if;
    perform pgdial.note_act('forget', 'number', 'forgotten', p_by,
        regexp_replace(p_why, pgdial.number_pattern(v_phone), 'forgotten', 'g'),
        jsonb_build_object('counts', v_counts, 'doNotCall', p_do_not_call));
    return v_answer;
end $$;

-- empty_list: apply p_do_not_call to the number's entry on the do-not-call list.
create or replace function pgdial.empty_list(p_phone text, p_do_not_call text, p_by text) returns void
language plpgsql volatile
as $$
begin
    if p_do_not_call = 'remove' then
        delete from pgdial.do_not_call d where d.phone = p_phone;
    elsif p_do_not_call = 'add' then
        insert into pgdial.do_not_call (phone, reason, by) values (p_phone, 'asked to be forgotten', p_by)
        on conflict (phone, topic, campaign) do update set until = null;
    end if;
end $$;

-- may_forget: the verdict, with the call and the time that stand in the way. Fenced, so that only calls_phone and
-- calls_numbers fit: the indexes on holds and keys lead through the rows of other numbers.
create or replace function pgdial.may_forget(p_phone text, p_do_not_call text, p_now timestamptz) returns jsonb
language plpgsql stable
set plan_cache_mode = force_custom_plan
as $$
declare
    v_refusal jsonb;
begin
    with mine as materialized (
        select c.id, c.state, c.hold_until, c.deadline_at, c.idempotency_key, c.created_at, c.campaign, null::text[] as numbers
        from pgdial.calls c where c.phone = p_phone and c.numbers is null
        union all
        select c.id, c.state, c.hold_until, c.deadline_at, c.idempotency_key, c.created_at, c.campaign, c.numbers
        from pgdial.calls c where c.numbers @> array[p_phone]
    )
    select jsonb_build_object('verdict', r.verdict, 'call', r.id, 'until', r.until) into v_refusal
    from (
        select 1 as ord, 'in_flight' as verdict, c.id, c.deadline_at as until
        from mine c where c.state::text in ('dialing', 'unresolved', 'in_call')
        union all
        select 2, 'held', c.id, c.hold_until
        from mine c where c.hold_until > p_now
        union all
        select 3, 'key_needed', c.id, c.created_at + '24 hours'::interval
        from mine c
        where exists (select from unnest(coalesce(c.numbers, array[p_phone])) n where c.idempotency_key ~ pgdial.number_pattern(n))
          and c.created_at > p_now - '24 hours'::interval
          -- With an entry on the list a repeat is refused anyway; of several numbers it would ring another.
          and (c.numbers is not null or p_do_not_call <> 'add'
               and (p_do_not_call = 'remove' or pgdial.listed(p_phone, c.campaign, c.created_at + '24 hours'::interval) is null))
    ) r
    order by r.ord, r.until desc limit 1;
    return coalesce(v_refusal, jsonb_build_object('verdict', 'forgotten'));
end $$;

-- count_number: how many rows of each table belong to these calls; with their last batch also the rows that
-- belong to no call.
create or replace function pgdial.count_number(p_phone text, p_ids uuid[], p_do_not_call text, p_last boolean) returns jsonb
language plpgsql stable
set plan_cache_mode = force_custom_plan
as $$
begin
    return jsonb_build_object(
        'calls', cardinality(p_ids),
        'waiting', (select count(*) from pgdial.calls c where c.id = any (p_ids) and c.state::text = 'waiting'),
        'callEvents', (select count(*) from pgdial.call_events e where e.call_id = any (p_ids)),
        'webhookEvents', (select count(*) from pgdial.webhooks_of(p_ids) w),
        'deliveries', (select count(*) from pgdial.deliveries d where d.call_id = any (p_ids)),
        'acts', (select count(*) from pgdial.acts a where p_last and pgdial.names_number(concat_ws(' ', a.name, a.why, a.detail), p_phone)),
        'dials', (select count(*) from pgdial.dials d where p_last and d.phone = p_phone)
            + (select count(*) from pgdial.dials_elsewhere(p_ids, p_phone) d),
        'doNotCall', (select count(*) from pgdial.do_not_call d where p_last and d.phone = p_phone and p_do_not_call = 'remove'));
end $$;

-- dials_elsewhere: the dials of these calls to other numbers than this one.
create or replace function pgdial.dials_elsewhere(p_ids uuid[], p_phone text) returns setof pgdial.dials
language sql stable
as $$
    select d.* from pgdial.calls c cross join unnest(c.numbers) n join pgdial.dials d on d.phone = n and d.call_id = c.id
    where c.id = any (p_ids) and n <> p_phone
$$;

-- number_pattern: the number as people write it within a text, but not as part of a longer number.
create or replace function pgdial.number_pattern(p_phone text) returns text
language sql immutable
as $$ select '(?<![0-9])[+]?' || array_to_string(regexp_split_to_array(substr(p_phone, 2), ''), '[ .()/-]*') || '(?![0-9])' $$;

-- names_number: does this text contain the number? The cheap test comes first: there are many acts.
create or replace function pgdial.names_number(p_text text, p_phone text) returns boolean
language sql immutable
as $$
    select strpos(translate(p_text, ' .()/-', ''), substr(p_phone, 2)) > 0 and p_text ~ pgdial.number_pattern(p_phone)
$$;

-- webhooks_of: the kept events about these calls: by the references of their dials, and those that came without
-- a reference.
create or replace function pgdial.webhooks_of(p_ids uuid[]) returns setof bigint
language plpgsql stable
set plan_cache_mode = force_custom_plan
as $$
declare
    v_references constant text[] := array(
        select distinct e.call_id || '-' || e.claim_no from pgdial.call_events e
        where e.call_id = any (p_ids) and e.claim_no > 0);
    v_trunks constant text[] := array(
        select t.name from pgdial.trunks t
        union select e.detail ->> 'trunk' from pgdial.call_events e where e.call_id = any (p_ids) and e.kind = 'active');
begin
    return query
        select w.id from pgdial.webhook_events w where w.trunk = any (v_trunks) and w.reference = any (v_references)
        union
        select w.id from pgdial.webhook_events w
        where w.trunk = any (v_trunks) and w.reference = '' and w.call_id = any (p_ids);
end $$;

-- cancel_to_forget: cancel the waiting ones. We hold the rows, so only a constraint can refuse; then nothing is
-- done at all.
create or replace function pgdial.cancel_to_forget(p_ids uuid[], p_by text) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_items constant jsonb := (
        select jsonb_agg(jsonb_build_object('id', c.id, 'by', p_by, 'why', 'to be forgotten'))
        from pgdial.calls c where c.id = any (p_ids) and c.state::text = 'waiting');
    v_odd record;
begin
    if v_items is not null then
        select k.verdict, k.detail into v_odd from pgdial.cancel_many(v_items) k where k.verdict <> 'canceled' limit 1;
        if found then
            raise exception 'a waiting call to this number cannot be canceled: %', coalesce(v_odd.detail ->> 'why', v_odd.verdict)
                using errcode = 'check_violation';
        end if;
    end if;
end $$;

-- empty_calls: remove all their numbers and all free text from these calls, which are over and locked by us.
create or replace function pgdial.empty_calls(p_ids uuid[], p_now timestamptz, p_by text) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_pattern constant text := (
        select string_agg(distinct pgdial.number_pattern(n), '|')
        from pgdial.calls c cross join unnest(coalesce(c.numbers, array[c.phone])) n where c.id = any (p_ids));
    v_call pgdial.calls;
begin
    delete from pgdial.dials d using pgdial.dials_elsewhere(p_ids, '') o
    where d.phone = o.phone and d.at = o.at and d.call_id = o.call_id;
    update pgdial.calls c
    set phone = 'forgotten', numbers = null, invalid_numbers = null, from_number = null, caller_id = null, metadata = '{}',
        result = null, last_error = null, consent_ref = null,
        script_id = regexp_replace(c.script_id, v_pattern, 'forgotten', 'g'),
        provider_call_id = case when c.provider_call_id !~ v_pattern then c.provider_call_id end,
        cancel_requested_why = null, request_hash = '', traceparent = null,
        cancel_requested_by = regexp_replace(c.cancel_requested_by, v_pattern, 'forgotten', 'g'),
        owner = regexp_replace(c.owner, v_pattern, 'forgotten', 'g'),
        idempotency_key = case when c.idempotency_key !~ v_pattern and c.created_at > p_now - '24 hours'::interval
                               then c.idempotency_key end
    where c.id = any (p_ids)
      and c.state::text not in ('waiting', 'dialing', 'unresolved', 'in_call');
    for v_call in select c.* from pgdial.calls c where c.id = any (p_ids) order by c.id loop
        perform pgdial.note(v_call, 'forgotten', p_now, jsonb_build_object('by', p_by));
    end loop;
    perform pgdial.empty_histories(p_ids, v_pattern);
    delete from pgdial.unclaimable o where o.call_id = any (p_ids);
    insert into pgdial.forgotten (call_id, at) select i, p_now from unnest(p_ids) i on conflict do nothing;
end $$;

-- empty_histories: reduce the events of these calls, and the webhooks and deliveries about them, to technical facts.
create or replace function pgdial.empty_histories(p_ids uuid[], p_pattern text) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_kept constant text[] := array['by', 'outcome', 'trunk', 'worker', 'run_at', 'delay_ms', 'hold_until', 'expires_at',
        'event_claim_no', 'recovered', 'was', 'was_claim_no', 'from', 'provider_call_id'];
begin
    update pgdial.call_events e set detail = k.detail
    from pgdial.call_events o, lateral (
        select coalesce(jsonb_object_agg(d.key, d.value), '{}') as detail from jsonb_each(o.detail) d
        where d.key = any (v_kept) and d.value #>> '{}' !~ p_pattern) k
    where o.call_id = any (p_ids) and e.call_id = o.call_id and e.seq = o.seq and e.at = o.at
      and k.detail <> o.detail;
    update pgdial.webhook_events w
    set body = '', event_id = case when w.event_id ~ p_pattern then 'forgotten-' || w.id else w.event_id end,
        report = coalesce((select jsonb_object_agg(d.key, d.value) from jsonb_each(w.report) d
                           where d.key in ('kind', 'outcome', 'provider_call_id') and d.value #>> '{}' !~ p_pattern), '{}')
    where w.id in (select o from pgdial.webhooks_of(p_ids) o) and w.body <> '';
    -- What is still to be delivered is written anew, from what is left.
    update pgdial.deliveries d set body = null, log = '[]'
    where d.call_id = any (p_ids) and (d.body is not null or d.log <> '[]');
end $$;

-- empty_words: what people and providers wrote elsewhere.
create or replace function pgdial.empty_words(p_phone text) returns void
language plpgsql volatile
as $$
declare
    v_pattern constant text := pgdial.number_pattern(p_phone);
begin
    update pgdial.trunks t set paused_why = regexp_replace(t.paused_why, v_pattern, 'forgotten', 'g') where t.paused_why ~ v_pattern;
    update pgdial.campaigns g set paused_why = regexp_replace(g.paused_why, v_pattern, 'forgotten', 'g') where g.paused_why ~ v_pattern;
    -- Before the endpoints, as a deletion does, and in one order.
    update pgdial.endpoint_progress p set last_error = regexp_replace(p.last_error, v_pattern, 'forgotten', 'g')
    where p.endpoint in (select o.endpoint from pgdial.endpoint_progress o where o.last_error ~ v_pattern order by o.endpoint for update);
    update pgdial.endpoints e set paused_why = regexp_replace(e.paused_why, v_pattern, 'forgotten', 'g') where e.paused_why ~ v_pattern;
    update pgdial.caller_ids k set paused_why = regexp_replace(k.paused_why, v_pattern, 'forgotten', 'g') where k.paused_why ~ v_pattern;
    update pgdial.trunk_breaker b set last_fault = regexp_replace(b.last_fault, v_pattern, 'forgotten', 'g') where b.last_fault ~ v_pattern;
    update pgdial.answers a set reason = regexp_replace(a.reason, v_pattern, 'forgotten', 'g') where a.reason ~ v_pattern;
    update pgdial.acts a
    set name = case when a.kind = 'number' and a.name ~ v_pattern then 'forgotten' else a.name end,
        why = regexp_replace(a.why, v_pattern, 'forgotten', 'g'),
        -- Numbers in detail are normalised, so they can only occur within strings; free text is only in reason.
        detail = regexp_replace((a.detail || case when a.detail ? 'reason' then jsonb_build_object(
            'reason', regexp_replace(a.detail ->> 'reason', v_pattern, 'forgotten', 'g')) else '{}' end)::text,
            '[+]' || substr(p_phone, 2) || '(?![0-9])', 'forgotten', 'g')::jsonb
    where pgdial.names_number(concat_ws(' ', a.name, a.why, a.detail), p_phone);
end $$;

-- forget_rest: empty what has arrived about forgotten calls since, and keys that are no longer needed. Part of
-- housekeeping. Returns how many calls it looked at.
create or replace function pgdial.forget_rest(p_now timestamptz) returns int
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_ids uuid[];
begin
    delete from pgdial.forgotten f where f.at < p_now - '30 days'::interval;
    v_ids := array(select c.id from pgdial.forgotten f join pgdial.calls c on c.id = f.call_id
                   order by f.at desc limit 10000 for update of c skip locked);
    if v_ids = '{}' then
        return 0;   -- without any statement over the history
    end if;
    update pgdial.calls c
    set result = null, last_error = null,
        idempotency_key = case when c.created_at > p_now - '24 hours'::interval then c.idempotency_key end
    where c.id = any (v_ids)
      and (c.result is not null or c.last_error is not null
           or c.idempotency_key is not null and c.created_at <= p_now - '24 hours'::interval);
    -- Their number is no longer known, so all free text goes.
    perform pgdial.empty_histories(v_ids, '^$');
    return cardinality(v_ids);
end $$;

-- mentions: the columns in which the number still occurs, in whatever spelling, and in how many rows. Reads
-- every row of every table: run it at a quiet hour.
--   select * from pgdial.mentions('+14155550101');
create or replace function pgdial.mentions(p_phone text) returns table (relation text, field text, mentioned bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_pattern constant text := pgdial.number_pattern(pgdial.normal_phone(p_phone));
begin
    for relation, field in
        select c.relname, a.attname
        from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'pgdial'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and a.attnum > 0 and not a.attisdropped
          and a.atttypid in ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype, 'bytea'::regtype)
        order by 1, 2
    loop
        execute format('select count(*) from pgdial.%I t where %s ~ $1', relation, case
            when (select a.atttypid from pg_attribute a where a.attrelid = format('pgdial.%I', relation)::regclass
                  and a.attname = field) = 'bytea'::regtype then format('encode(t.%I, ''escape'')', field)
            else format('t.%I::text', field) end) into mentioned using v_pattern;
        if mentioned > 0 then
            return next;
        end if;
    end loop;
end $$;
