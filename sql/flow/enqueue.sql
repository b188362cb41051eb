-- enqueue_many: (nothing) -> waiting, or the call that the idempotency key already names.
-- p_owners: the owners of the keys (an API key's name, or the SQL role): one for all, or one per request.
-- p_requests: an array of objects as in POST /calls, with idempotencyKey inside.
-- p_wait: wait up to 2 s, instead of 50 ms, for a transaction that is writing one of the keys.
-- p_shown: the detail of a new call is the call as sql/read/call.sql shows it.
-- Verdicts: created, duplicate, key_reused (another request under the same key), key_locked (another
-- transaction holds the key: try again), suppressed, consent_missing (its campaign requires consent, and there
-- is none, or it has expired), unknown_campaign, campaign_over, invalid.
-- Races: two writers of one key meet at calls_idempotency; the second waits for the first. If that takes too
-- long, nothing is written and every item gets key_locked: try again with fewer items. If a table is locked
-- instead (VACUUM FULL, ALTER TABLE), the error is raised: no key is the cause.
-- Keys are inserted in sorted order, so batches cannot deadlock with each other. Other transactions that take
-- several keys can: the one that Postgres aborts gets key_locked.
-- A known key returns its call whatever has happened since: a number that has joined the do-not-call list, or
-- an expiresAt that has passed, is no reason to deny what was accepted.
-- Plans: one statement, planned once per session and pinned, because planning costs far more than a single
-- request. Every join is a probe of one row by its key whatever the statistics say, which suits one
-- request and thousands, and a table that was empty when the plan was made.
create or replace function pgdial.enqueue_many(p_owners text[], p_requests jsonb, p_wait boolean default false, p_shown boolean default false)
returns table (ordinal int, verdict text, id uuid, detail text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_memoize = off
set jit = off
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := pgdial.now();
    v_us constant bigint := extract(epoch from v_now) * 1000000;
    v_owners constant int := cardinality(p_owners);
    -- Checked once per batch: most have none.
    v_traced constant boolean := p_requests @? '$[*].traceparent';
begin
    if p_wait then
        perform set_config('lock_timeout', '2s', true);   -- until this function ends
    end if;
    return query
        with asked as materialized (
            -- A microsecond apart, so that a batch is dialled in its own order.
            select r.ordinal, pgdial.uuid_v7_of(v_us + r.ordinal) as id, p.phone, r.numbers, r.timezone, r.region,
                   case when coalesce(r.timezone[1], r.region) is not null then pgdial.area_of(p.phone, r.timezone, r.region)
                        else pgdial.phone_area(p.phone) end as area, r.script_id, r.metadata, r.campaign,
                   r.from_number, r.priority, coalesce(r.run_at, v_now) as run_at, r.expires_at,
                   coalesce(r.max_attempts, g.max_attempts) as max_attempts,
                   p_owners[least(r.ordinal, v_owners)] as owner, r.idempotency_key, r.request_hash,
                   r.consent_at, r.consent_ref, r.consent_expires_at,
                   case when v_traced then p_requests -> (r.ordinal - 1) ->> 'traceparent' end as traceparent,
                   -- Refused requests may still have a known key: looked up for these alone.
                   case when r.problem is not null then 'invalid'
                        when (g.name is null or g.archived_at is not null or d.reason is not null or w.words is not null or r.expires_at <= v_now
                              or h.needs_timezone or g.ends_at <= coalesce(r.run_at, v_now))
                            and r.idempotency_key is not null and exists (
                                select from pgdial.calls c
                                where c.owner = p_owners[least(r.ordinal, v_owners)] and c.idempotency_key = r.idempotency_key)
                            then 'known'
                        when g.name is null or g.archived_at is not null then 'unknown_campaign'
                        when d.reason is not null then 'suppressed'
                        when w.words is not null then 'consent_missing'
                        when g.ends_at <= coalesce(r.run_at, v_now) then 'campaign_over'
                        when r.expires_at <= v_now or h.needs_timezone then 'invalid' end as verdict,
                   case when r.problem is not null then r.problem
                        when g.name is null then format('there is no campaign "%s": create it, or use "default"', r.campaign)
                        when g.archived_at is not null then format('campaign "%s" is archived: use another, or unarchive it', g.name)
                        when d.reason is not null then case when r.numbers is null then 'the number is on the do-not-call list: '
                            else 'none of its numbers may be rung: ' end || d.reason
                        when w.words is not null then w.words
                        when g.ends_at <= v_now then format(
                            '%s: set a later end, or use another campaign', pgdial.end_in_words(g.name, g.ends_at))
                        when g.ends_at <= r.run_at then format('"runAt" is at or after the end of campaign %s, %s',
                            g.name, pgdial.in_utc(g.ends_at))
                        when r.expires_at <= v_now then '"expiresAt" lies in the past'
                        when h.needs_timezone then format('"timezone" is missing: campaign %s asks for it, or for a region like US-FL', g.name) end as detail
            from pgdial.read_requests(p_requests) as r
                 left join pgdial.campaigns g on g.name = r.campaign
                 -- Of several numbers the first that may be rung.
                 cross join lateral (select case when r.numbers is null then r.phone
                     else coalesce(pgdial.next_number(r.numbers, 1, null, r.campaign, v_now), r.phone) end as phone) p
                 left join lateral (select d.reason from pgdial.do_not_call d
                                    where d.phone = p.phone and pgdial.covers(d, r.campaign, v_now) limit 1) d on true
                 left join lateral (select pgdial.consent_words(case when r.consent_at is null then 'consent_missing'
                                           when r.consent_expires_at <= v_now then 'consent_expired' end,
                                           r.campaign, r.consent_expires_at) as words
                                    where g.require_consent) w on true
                 left join lateral (
                     select coalesce(g.zone_basis, c.zone_basis) = 'given' as needs_timezone
                     from pgdial.calling_hours c where c.name = g.calling_hours and r.timezone is null and r.region is null) h on true
        ), new as (
            insert into pgdial.calls as c (
                id, phone, numbers, timezone, region, area, campaign, script_id, metadata, from_number, priority, run_at, expires_at,
                max_attempts, owner, idempotency_key, request_hash, created_at, traceparent,
                consent_at, consent_ref, consent_expires_at)
            select a.id, a.phone, a.numbers, a.timezone, a.region, a.area, a.campaign, a.script_id, a.metadata, a.from_number, a.priority,
                   a.run_at, a.expires_at, a.max_attempts, a.owner, a.idempotency_key, a.request_hash, v_now, a.traceparent,
                   a.consent_at, a.consent_ref, a.consent_expires_at
            from asked a where a.verdict is null
            order by a.owner collate "C", a.idempotency_key collate "C" nulls first, a.ordinal
            on conflict (owner, idempotency_key) where idempotency_key is not null do nothing
            returning c.id, c.claim_no, c.attempt, c.run_at, c.owner
        ), noted as (
            insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
            select v_now, new.id, new.claim_no, new.attempt, 'waiting',
                   jsonb_build_object('owner', new.owner, 'run_at', new.run_at)
            from new
            returning call_id, seq
        )
        select a.ordinal, 'created', a.id, case when p_shown then json_build_object(
            'id', a.id, 'to', a.phone, 'numbers', a.numbers, 'timezone', a.timezone, 'region', a.region, 'from', a.from_number, 'scriptId', a.script_id, 'metadata', a.metadata,
            'campaign', a.campaign, 'priority', a.priority, 'state', 'waiting', 'runAt', a.run_at, 'expiresAt', a.expires_at,
            'attempt', 0, 'maxAttempts', a.max_attempts, 'deferrals', 0, 'claimNo', 0,
            'trunk', null, 'providerCallId', null, 'claimedAt', null, 'leaseUntil', null,
            'deadlineAt', null, 'holdUntil', null, 'answeredAt', null, 'outcome', null, 'disposition', null,
            'callbackOf', null, 'consentAt', a.consent_at, 'consentRef', a.consent_ref, 'consentExpiresAt', a.consent_expires_at,
            'result', null, 'lastError', null, 'cancelRequestedAt', null,
            'cancelRequestedBy', null, 'cancelRequestedWhy', null,
            'owner', a.owner, 'idempotencyKey', a.idempotency_key, 'createdAt', v_now,
            'startedAt', null, 'endedAt', null, 'attempts', '[]'::json,
            'events', json_build_array(json_build_object(
                'seq', (select e.seq from noted e where e.call_id = a.id), 'at', v_now, 'kind', 'waiting',
                'claimNo', 0, 'attempt', 0, 'detail', json_build_object('owner', a.owner, 'run_at', a.run_at))))::text end
        from asked a where a.verdict is null and (a.id in (select new.id from new)) is true
        union all
        select a.ordinal, a.verdict, null, a.detail
        from asked a where a.verdict <> 'known'
        union all
        select a.ordinal, k.verdict, k.id, k.detail
        from asked a cross join lateral pgdial.key_answer(a.owner, a.idempotency_key, a.request_hash) k
        where coalesce(a.verdict, 'known') = 'known' and not (a.id in (select new.id from new));
    if exists (select from pgdial.calls c where c.state = 'waiting' and c.area = 0 and c.created_at = v_now) then
        perform pgdial.wake('sweep');   -- a place that nobody has had yet
    end if;
exception when lock_not_available or deadlock_detected then
    -- Nothing of this batch was written.
    if pgdial.is_table_locked() then
        raise;
    end if;
    return query
        select n::int, 'key_locked', null::uuid, 'another request with this idempotency key is under way: try again'
        from generate_series(1, jsonb_array_length(p_requests)) n;
end $$;

-- is_table_locked: does another session hold, or wait for, a lock on one of our tables that blocks writers?
create or replace function pgdial.is_table_locked() returns boolean
language plpgsql volatile
as $$
begin
    return exists (
        select from pg_locks l join pg_class c on c.oid = l.relation
        where l.database = (select d.oid from pg_database d where d.datname = current_database())
          and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
          and l.pid <> pg_backend_pid() and c.relnamespace = 'pgdial'::regnamespace);
end $$;

-- key_answer: the verdict for a request whose key already exists. Volatile, so that its snapshot sees the row
-- that the insert conflicted with.
create or replace function pgdial.key_answer(
    p_owner text, p_key text, p_hash bytea, out verdict text, out id uuid, out detail text)
language plpgsql volatile
as $$
declare
    v_hash bytea;
begin
    select c.id, c.request_hash into id, v_hash from pgdial.calls c
    where c.owner = p_owner and c.idempotency_key = p_key;
    if v_hash = p_hash then
        verdict := 'duplicate';
    elsif found then
        verdict := 'key_reused';
        detail := 'this idempotency key was used for another request: use a new key for a new call';
    else
        verdict := 'key_locked';
        detail := 'the idempotency key was just released: try again';
    end if;
end $$;

-- enqueue: asks for one call, and returns its id. Part of the caller's transaction: after a rollback nobody is rung.
-- Wakes idle workers at commit, unless `set pgdial.notify = off` (for bulk inserts). Errors are raised with a hint; the
-- same key with the same request returns the same id.
-- Either with the fields that most calls need, as arguments; or p_request: an object as in POST /calls, with
-- idempotencyKey inside.
--   select pgdial.enqueue('+14155550101', 'welcome', p_idempotency_key => 'order 4711');
--   select pgdial.enqueue('{"to": "+14155550102", "scriptId": "welcome", "timezone": "America/Chicago"}'::jsonb);
create or replace function pgdial.enqueue(p_request jsonb) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v record;
begin
    select e.verdict, e.id, e.detail into v
    from pgdial.enqueue_many(array[session_user::text], jsonb_build_array(p_request), true) e;
    if v.verdict in ('created', 'duplicate') then
        if coalesce(current_setting('pgdial.notify', true), '') <> 'off' then
            perform pgdial.wake('claim');
        end if;
        return v.id;
    end if;
    raise exception 'pgdial.enqueue: %', v.verdict using
        detail = v.detail,
        errcode = case v.verdict when 'key_locked' then 'lock_not_available'
                                 when 'unknown_campaign' then 'foreign_key_violation'
                                 else 'check_violation' end;
end $$;

create or replace function pgdial.enqueue(
    p_to text, p_script_id text, p_metadata jsonb default '{}', p_campaign text default 'default',
    p_from text default null, p_priority int default 0, p_run_at timestamptz default null,
    p_expires_at timestamptz default null, p_max_attempts int default null,
    p_idempotency_key text default null, p_region text default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return pgdial.enqueue(jsonb_build_object(
        'to', p_to, 'region', p_region, 'scriptId', p_script_id, 'metadata', p_metadata, 'campaign', p_campaign, 'from', p_from,
        'priority', p_priority, 'runAt', p_run_at, 'expiresAt', p_expires_at,
        'maxAttempts', p_max_attempts, 'idempotencyKey', p_idempotency_key));
end $$;

-- note_import: somebody has enqueued a list. p_list: its name. p_counts: how many of its rows became what, and calls by
-- campaign. Apart from the rows, which are enqueued in many transactions.
create or replace function pgdial.note_import(p_list text, p_counts jsonb, p_by text default session_user) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The name among the words, where a number in it can be forgotten.
    perform pgdial.note_act('import', 'calls', null, p_by, 'list ' || left(p_list, 500), p_counts);
end $$;
