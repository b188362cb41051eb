-- enqueue: (nothing) -> waiting, or the call that the idempotency key already names.
-- p_owner: whose keys these are (an API key's name, or the SQL role).
-- p_requests: an array of objects as POST /calls takes them, with idempotencyKey inside.
-- Verdicts: new, duplicate, key_reused (another request under the same key), key_locked
-- (another transaction holds the key: try again), suppressed, unknown_campaign, invalid.
-- Races: two writers of one key meet at calls_idempotency; the second waits for the
-- first, at most 2 s. Keys go in sorted order, so that batches cannot deadlock. Transactions
-- of a person that take several keys can: the one that Postgres stops hears key_locked.
-- A known key answers its call whatever has happened since: that the number may not be
-- rung any more, or that expiresAt has passed, is no reason to deny what was accepted.
create or replace function pgdial.enqueue_many(p_owner text, p_requests jsonb)
returns table (ordinal int, verdict text, id uuid, detail text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := pgdial.now();
    v_asked pgdial.asked[];
begin
    v_asked := array(
        -- A microsecond apart, so that a batch is dialled in its own order.
        select row(a.n, pgdial.uuid_v7(v_now + a.n * '1 microsecond'::interval), r.phone, r.script_id, r.metadata, r.campaign, r.from_number,
                   r.priority, coalesce(r.run_at, v_now), r.expires_at,
                   coalesce(r.max_attempts, g.max_attempts), r.idempotency_key, r.request_hash,
                   case when r.problem is not null then 'invalid'
                        when k.known then 'known'
                        when g.name is null then 'unknown_campaign'
                        when d.phone is not null then 'suppressed'
                        when r.expires_at <= v_now then 'invalid' end,
                   case when r.problem is not null then r.problem
                        when k.known then null
                        when g.name is null then format('there is no campaign "%s": create it, or use "default"', r.campaign)
                        when d.phone is not null then 'the number is on the do-not-call list: ' || d.reason
                        when r.expires_at <= v_now then '"expiresAt" lies in the past' end)::pgdial.asked
        from jsonb_array_elements(p_requests) with ordinality as a (request, n)
             cross join lateral pgdial.read_request(a.request) as r
             left join pgdial.campaigns g on g.name = r.campaign
             left join pgdial.do_not_call d on d.phone = r.phone
             left join lateral (
                 select true as known from pgdial.calls c
                 where c.owner = p_owner and c.idempotency_key = r.idempotency_key offset 0) k on true
        order by a.n);

    begin
        return query
            with new as (
                insert into pgdial.calls as c (
                    id, phone, campaign, script_id, metadata, from_number, priority, run_at, expires_at,
                    max_attempts, owner, idempotency_key, request_hash, created_at)
                select a.id, a.phone, a.campaign, a.script_id, a.metadata, a.from_number, a.priority, a.run_at,
                       a.expires_at, a.max_attempts, p_owner, a.idempotency_key, a.request_hash, v_now
                from unnest(v_asked) a where a.verdict is null
                order by a.idempotency_key nulls first, a.ordinal
                on conflict (owner, idempotency_key) where idempotency_key is not null do nothing
                returning c.id, c.claim_no, c.attempt, c.run_at
            ), noted as (
                insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
                select v_now, new.id, new.claim_no, new.attempt, 'waiting',
                       jsonb_build_object('by', p_owner, 'run_at', new.run_at)
                from new
            )
            select a.ordinal, case when new.id is not null then 'new' else a.verdict end, new.id, a.detail
            from unnest(v_asked) a left join new on new.id = a.id
            where new.id is not null or a.verdict <> 'known';
    exception when lock_not_available or deadlock_detected then
        -- Nothing of this batch was written; the caller tries its items one by one.
        return query
            select a.ordinal, coalesce(nullif(a.verdict, 'known'), 'key_locked'), null::uuid,
                   coalesce(a.detail, 'another request with this idempotency key is under way: try again')
            from unnest(v_asked) a;
        return;
    end;

    -- A statement of its own: its snapshot sees the rows that the insert ran into.
    return query
        select a.ordinal,
               case when c.id is null then 'key_locked'
                    when c.request_hash = a.request_hash then 'duplicate'
                    else 'key_reused' end,
               c.id,
               case when c.id is null then 'the idempotency key was just released: try again'
                    when c.request_hash <> a.request_hash then
                        'this idempotency key was used for another request: use a new key for a new call' end
        from unnest(v_asked) a
             -- Lateral, one probe of calls_idempotency each: as a plain join it read the table.
             left join lateral (
                 select c.id, c.request_hash from pgdial.calls c
                 where c.owner = p_owner and c.idempotency_key = a.idempotency_key offset 0) c on true
        where coalesce(a.verdict, 'known') = 'known' and a.idempotency_key is not null and c.id is distinct from a.id;
end $$;

-- enqueue: one call, for SQL. Inside the caller's transaction: a rollback rings nobody.
-- Wakes idle workers at commit, unless `set pgdial.notify = off` (for bulk).
-- Errors are raised with a hint; the same key with the same request answers the same id.
create or replace function pgdial.enqueue(
    p_to text, p_script_id text, p_metadata jsonb default '{}', p_campaign text default 'default',
    p_from text default null, p_priority int default 0, p_run_at timestamptz default null,
    p_expires_at timestamptz default null, p_max_attempts int default null,
    p_idempotency_key text default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v record;
begin
    select e.verdict, e.id, e.detail into v
    from pgdial.enqueue_many(session_user::text, jsonb_build_array(jsonb_build_object(
        'to', p_to, 'scriptId', p_script_id, 'metadata', p_metadata, 'campaign', p_campaign, 'from', p_from,
        'priority', p_priority, 'runAt', p_run_at, 'expiresAt', p_expires_at,
        'maxAttempts', p_max_attempts, 'idempotencyKey', p_idempotency_key))) e;
    if v.verdict in ('new', 'duplicate') then
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
