-- What the verbs share that deliver events to endpoints.

-- lock_endpoint: whoever writes an endpoint's deliveries holds this row, so that their order is nobody else's to
-- change. p_wait: else another's lock is answered by null.
create or replace function pgdial.lock_endpoint(p_endpoint bigint, p_wait boolean) returns pgdial.endpoint_progress
language plpgsql volatile
as $$
declare
    v_progress pgdial.endpoint_progress;
begin
    if p_wait then
        select p.* into v_progress from pgdial.endpoint_progress p where p.endpoint = p_endpoint for update;
    else
        select p.* into v_progress from pgdial.endpoint_progress p where p.endpoint = p_endpoint for update skip locked;
    end if;
    return v_progress;
end $$;

-- add_deliveries: make deliveries of events that are none yet. Of each call only the first unfinished is pending. The
-- caller holds the endpoint. Returns how many are new.
create or replace function pgdial.add_deliveries(p_endpoint bigint, p_events pgdial.deliverable[], p_now timestamptz) returns int
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_n int;
begin
    insert into pgdial.deliveries (endpoint, xid, seq, at, kind, call_id, state, next_at)
    select p_endpoint, e.xid, e.seq, e.at, e.kind, e.call_id, case
               when row_number() over (partition by e.call_id order by e.xid, e.seq) > 1 or exists (
                   select from pgdial.deliveries d
                   where d.endpoint = p_endpoint and d.call_id = e.call_id and d.state in ('queued', 'pending'))
               then 'queued' else 'pending' end, p_now
    from unnest(p_events) e
    where not exists (select from pgdial.deliveries d where d.endpoint = p_endpoint and d.xid = e.xid and d.seq = e.seq);
    get diagnostics v_n = row_count;
    update pgdial.endpoint_progress p set unfinished = p.unfinished + v_n where v_n > 0 and p.endpoint = p_endpoint;
    return v_n;
end $$;

-- first_of_call: the turn of the call's first unfinished event, unless another is being sent.
create or replace function pgdial.first_of_call(p_endpoint bigint, p_call uuid, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_first record;
begin
    select d.xid, d.seq, d.state into v_first from pgdial.deliveries d
    where d.endpoint = p_endpoint and d.call_id = p_call and d.state in ('queued', 'pending')
    order by d.xid, d.seq limit 1;
    if v_first.state = 'queued' then
        update pgdial.deliveries d set state = 'queued'
        where d.endpoint = p_endpoint and d.call_id = p_call and d.state = 'pending' and d.sent_at is null;
        update pgdial.deliveries d set state = 'pending', next_at = p_now
        where d.endpoint = p_endpoint and d.xid = v_first.xid and d.seq = v_first.seq and not exists (
            select from pgdial.deliveries o where o.endpoint = p_endpoint and o.call_id = p_call and o.state = 'pending');
    end if;
end $$;

-- most_unfinished: with so many, an endpoint's further events stay in the log, which is the backlog.
create or replace function pgdial.most_unfinished() returns int
language sql immutable parallel safe
as $$ select 10000 $$;

-- deliver_at_once: what waits for a later attempt is due.
create or replace function pgdial.deliver_at_once(p_endpoint bigint, p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    update pgdial.deliveries d set next_at = p_now
    where d.endpoint = p_endpoint and d.state = 'pending' and d.next_at > p_now and d.sent_at is null;
end $$;

-- delivery_id: the id of an event, the same at every endpoint and in every attempt: evt_XID_SEQ_AT, in hex. With the
-- instant, because a restored database draws the same numbers again.
create or replace function pgdial.delivery_id(p_delivery pgdial.deliveries) returns text
language sql stable
as $$
    select format('evt_%s_%s_%s', to_hex(p_delivery.xid::text::bigint), to_hex(p_delivery.seq),
                  to_hex((extract(epoch from p_delivery.at) * 1000000)::bigint))
$$;

-- delivered_event: the event of such an id; null: it is none.
create or replace function pgdial.delivered_event(p_id text) returns pgdial.event_cursor
language sql stable
as $$
    select pgdial.event_named(m) from regexp_match(p_id, '^evt_([0-9a-f]{1,15})_([0-9a-f]{1,15})_([0-9a-f]{1,15})$') m
    where m is not null
$$;

-- delivery_body: what is sent: the event as `GET /events` shows it, with what tells the caller which call it was. The
-- event may be gone (retention), and its call.
create or replace function pgdial.delivery_body(p_delivery pgdial.deliveries) returns text
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    if p_delivery.kind = 'test' then
        return json_build_object('type', 'test', 'timestamp', pgdial.instant(p_delivery.at), 'data', json_build_object(
            'message', 'This is a test, and about no call.'))::text;
    end if;
    return (
        select json_build_object('type', 'call.' || p_delivery.kind, 'timestamp', pgdial.instant(p_delivery.at), 'data', json_build_object(
            'cursor', pgdial.write_event_cursor((p_delivery.xid, p_delivery.seq, p_delivery.at)::pgdial.event_cursor, pgdial.event_place()),
            'at', pgdial.instant(p_delivery.at), 'kind', p_delivery.kind, 'callId', p_delivery.call_id,
            'reference', case when e.claim_no > 0 then e.call_id || '-' || e.claim_no end,
            'claimNo', coalesce(e.claim_no, 0), 'attempt', coalesce(e.attempt, 0), 'campaign', c.campaign,
            'trunk', case when e.claim_no > 0 then
                coalesce(e.detail ->> 'trunk', pgdial.trunk_of_claim(c, e.call_id, e.claim_no)) end,
            'to', nullif(case when c.numbers is null or e.claim_no = 0 then c.phone else pgdial.dialled(c, e.claim_no) end, 'forgotten'), 'state', c.state, 'outcome', e.detail ->> 'outcome',
            'detail', pgdial.shown_detail(coalesce(e.detail, '{}')),
            'idempotencyKey', c.idempotency_key, 'metadata', coalesce(c.metadata, '{}')))::text
        from (values (p_delivery.call_id)) d (call_id)
             left join pgdial.call_events e on e.xid = p_delivery.xid and e.seq = p_delivery.seq and e.at = p_delivery.at
             left join pgdial.calls c on c.id = d.call_id);
end $$;

-- shown_detail: the detail of an event with its names and instants as they are in all JSON; nested values come from
-- elsewhere and stay.
create or replace function pgdial.shown_detail(p_detail jsonb) returns jsonb
language plpgsql stable
as $$
begin
    return (select coalesce(jsonb_object_agg(pgdial.camel(d.key), case
                when d.key ~ '(_at|until|since)$' and jsonb_typeof(d.value) = 'string'
                     and d.value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+([+-][0-9:]+|Z)$'
                then to_jsonb(pgdial.instant((d.value #>> '{}')::timestamptz)) else d.value end), '{}')
            from jsonb_each(p_detail) d);
end $$;

-- instant: in UTC with a Z, with as many digits as it needs, as the API writes it.
create or replace function pgdial.instant(p_at timestamptz) returns text
language sql stable
as $$
    select regexp_replace(to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '[.]?000(000)?$', '') || 'Z'
$$;

-- sign_delivery: the webhook-signature header of Standard Webhooks: one signature for each secret that is valid, the
-- newest first. Built from sha256, which every Postgres has; HMAC's two keys are stored ready.
create or replace function pgdial.sign_delivery(p_endpoint bigint, p_id text, p_at bigint, p_body text, p_now timestamptz) returns text
language plpgsql stable
set enable_seqscan = off
as $$
declare
    v_message constant bytea := convert_to(format('%s.%s.%s', p_id, p_at, p_body), 'UTF8');
begin
    return (select string_agg('v1,' || encode(sha256(s.outer_key || sha256(s.inner_key || v_message)), 'base64'), ' ' order by s.id desc)
            from pgdial.endpoint_secrets s where s.endpoint = p_endpoint and (s.until is null or s.until > p_now));
end $$;

-- undelivered_since: the instant of the oldest event that the endpoint may not have got; null: it has them all.
create or replace function pgdial.undelivered_since(p_endpoint bigint) returns timestamptz
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_cursor constant pgdial.event_cursor := (
        select pgdial.event_named((string_to_array(p.cursor, '-'))[4:6]) from pgdial.endpoint_progress p where p.endpoint = p_endpoint);
begin
    return least(
        (select min(d.at) from pgdial.deliveries d where d.endpoint = p_endpoint and d.state in ('queued', 'pending')),
        (select e.at from pgdial.call_events e where (e.xid, e.seq) > (v_cursor.xid, v_cursor.seq) order by e.xid, e.seq limit 1));
end $$;
