-- read_requests: the requests of enqueue, parsed and checked; the one place for their limits.
-- p_requests: an array of JSON objects as in POST /calls, with idempotencyKey inside. They may contain
-- traceparent, the trace in which the call is requested. It is checked here, but is not part of the request:
-- neither of the hash nor of the response.
-- Returns for each, by ordinal from 1, the typed fields, the hash of the normalised request (two spellings of
-- one number are one request, whatever their region; '' without a key, since only requests of one key are
-- compared), and problem: null, or a sentence per fault that says what to do, one per line.
-- One select that Postgres inlines into the caller's statement: a plpgsql call per request is several times
-- slower.
create or replace function pgdial.read_requests(p_requests jsonb)
returns table (
    ordinal int, phone text, timezone text[], region text, script_id text, metadata jsonb, campaign text, from_number text,
    priority smallint, run_at timestamptz, expires_at timestamptz, max_attempts int,
    idempotency_key text, request_hash bytea, problem text,
    consent_at timestamptz, consent_ref text, consent_expires_at timestamptz, numbers text[]
)
language sql stable
as $$
    select q.n::int, coalesce(q.phone, q.numbers[1]), q.timezone, q.part, q.script_id, q.metadata, q.campaign, q.from_number,
           case when q.problem is null then coalesce(q.priority::numeric::smallint, 0) end, q.run_at, q.expires_at,
           case when q.problem is null then q.max_attempts::numeric::int end, q.idempotency_key,
           -- jsonb has one text per value (keys sorted, numbers in one form), so the hash covers the meaning.
           case when q.problem is null and q.idempotency_key is not null then
               sha256(convert_to(jsonb_build_array(
                   case when cardinality(q.numbers) > 1 then to_jsonb(q.numbers) else to_jsonb(coalesce(q.phone, q.numbers[1])) end,
                   q.timezone, q.part, q.script_id, q.metadata, q.campaign, q.from_number, coalesce(q.priority::numeric::smallint, 0),
                   extract(epoch from q.run_at), extract(epoch from q.expires_at), q.max_attempts::numeric::int,
                   extract(epoch from q.consent_at), q.consent_ref, extract(epoch from q.consent_expires_at))::text, 'UTF8'))
               else '' end,
           q.problem, q.consent_at, q.consent_ref, q.consent_expires_at,
           case when cardinality(q.numbers) > 1 then q.numbers end
    from (
        select t.*, case when not t.is_shaped then pgdial.misshapen(t.request) else nullif(concat_ws(chr(10),
            case when t.sent_to is null then '"to" is missing: the number to ring, as in "+14155550100"'
                 when t.region is not null and pgdial.place_problem(t.region) is not null then '"region" is ' || pgdial.place_problem(t.region)
                 when t.is_list then case when t.numbers is null then
                     pgdial.numbers_problem(t.request -> 'to', pgdial.region_for(t.region, t.campaign)) end
                 when t.phone is null then '"to" is ' || pgdial.phone_problem(t.sent_to, pgdial.region_for(t.region, t.campaign)) end,
            case when t.sent_timezone is not null and pgdial.timezone_problem(t.sent_timezone) is not null then
                     '"timezone" is ' || pgdial.timezone_problem(t.sent_timezone) end,
            case when t.script_id is null then '"scriptId" is missing: what the provider should say, as in "welcome"'
                 when length(t.script_id) not between 1 and 200 then '"scriptId" must have 1 to 200 characters' end,
            case when jsonb_typeof(t.metadata) <> 'object' then '"metadata" must be a JSON object'
                 when octet_length(t.metadata::text) > 16384 then '"metadata" is larger than 16 KiB: send a reference to the data instead'
                 -- 32 levels need 64 brackets, and a number beyond 1e300 as many digits: little metadata has
                 -- either.
                 when octet_length(t.metadata::text) > 64 and t.metadata @? '$.**{33}' then
                     '"metadata" has more than 32 levels: send a reference to the data instead'
                 when octet_length(t.metadata::text) > 300
                     and t.metadata @? '$.** ? (@.type() == "number" && (@ > 1e300 || @ < -1e300))' then
                     '"metadata" has a number beyond 1e300: send it as a string' end,
            case when t.sent_from is not null and t.from_number is null and (t.region is null or pgdial.place_problem(t.region) is null) then
                     '"from" is ' || pgdial.phone_problem(t.sent_from, pgdial.region_for(t.region, t.campaign)) end,
            -- 5.0 is a whole number in JSON and in JSON Schema.
            case when t.priority !~ '^[0-9]([.]0+)?$' then '"priority" must be a whole number from 0 to 9 (higher first)' end,
            case when t.max_attempts !~ '^([1-9]|1[0-9]|20)([.]0+)?$' then '"maxAttempts" must be a whole number from 1 to 20' end,
            case when t.sent_run_at is not null and t.run_at is null then
                     '"runAt" must be an RFC 3339 time with an offset, as in "2026-01-31T09:00:00Z"' end,
            case when t.sent_expires_at is not null and t.expires_at is null then
                     '"expiresAt" must be an RFC 3339 time with an offset, as in "2026-01-31T17:00:00Z"'
                 when t.expires_at <= t.run_at then '"expiresAt" must be later than "runAt"' end,
            case when t.sent_consent_at is not null and t.consent_at is null then
                     '"consentAt" must be an RFC 3339 time with an offset, as in "2026-01-31T09:00:00Z"' end,
            case when t.sent_consent_expires_at is not null and t.consent_expires_at is null then
                     '"consentExpiresAt" must be an RFC 3339 time with an offset, as in "2027-01-31T09:00:00Z"'
                 when t.consent_expires_at <= t.consent_at then '"consentExpiresAt" must be later than "consentAt"' end,
            case when length(t.consent_ref) not between 1 and 255 then '"consentRef" must have 1 to 255 characters' end,
            case when t.traceparent !~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' then
                     '"traceparent" must be as W3C says, as in "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"' end,
            case when length(t.idempotency_key) not between 1 and 255 then '"idempotencyKey" must have 1 to 255 characters' end), '') end as problem
        from (
            select a.n, a.r as request,
                   jsonb_typeof(a.r) = 'object' and case when jsonb_typeof(a.r) = 'object' then
                       jsonb_strip_nulls(a.r - '{to,timezone,region,scriptId,metadata,campaign,from,priority,runAt,expiresAt,maxAttempts,idempotencyKey,traceparent,consentAt,consentRef,consentExpiresAt}'::text[]) = '{}' end
                       and coalesce(jsonb_typeof(a.r -> 'to') in ('string', 'array', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'region') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'scriptId') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'campaign') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'from') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'runAt') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'expiresAt') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'idempotencyKey') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'consentAt') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'consentRef') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'consentExpiresAt') in ('string', 'null'), true)
                       and coalesce(jsonb_typeof(a.r -> 'traceparent') in ('string', 'null'), true) as is_shaped,
                   nullif(a.r -> 'timezone', 'null') as sent_timezone,
                   case when a.r -> 'timezone' is not null then pgdial.read_timezones(a.r -> 'timezone') end as timezone,
                   a.r ->> 'region' as region, pgdial.region_part(a.r ->> 'region') as part, a.r ->> 'to' as sent_to,
                   jsonb_typeof(a.r -> 'to') = 'array' as is_list,
                   case when jsonb_typeof(a.r -> 'to') = 'array' then
                       pgdial.read_numbers(a.r -> 'to', pgdial.region_for(a.r ->> 'region', coalesce(a.r ->> 'campaign', 'default'))) end as numbers,
                   case when jsonb_typeof(a.r -> 'to') = 'string' then
                       pgdial.normal_phone(a.r ->> 'to', pgdial.region_for(a.r ->> 'region', coalesce(a.r ->> 'campaign', 'default'))) end as phone,
                   a.r ->> 'scriptId' as script_id,
                   coalesce(nullif(a.r -> 'metadata', 'null'), '{}') as metadata,
                   coalesce(a.r ->> 'campaign', 'default') as campaign,
                   a.r ->> 'from' as sent_from,
                   pgdial.normal_phone(a.r ->> 'from', pgdial.region_for(a.r ->> 'region', coalesce(a.r ->> 'campaign', 'default'))) as from_number,
                   nullif(a.r -> 'priority', 'null')::text as priority,
                   a.r ->> 'runAt' as sent_run_at, pgdial.read_timestamp(a.r ->> 'runAt') as run_at,
                   a.r ->> 'expiresAt' as sent_expires_at, pgdial.read_timestamp(a.r ->> 'expiresAt') as expires_at,
                   nullif(a.r -> 'maxAttempts', 'null')::text as max_attempts,
                   a.r ->> 'consentAt' as sent_consent_at, pgdial.read_timestamp(a.r ->> 'consentAt') as consent_at,
                   a.r ->> 'consentExpiresAt' as sent_consent_expires_at,
                   pgdial.read_timestamp(a.r ->> 'consentExpiresAt') as consent_expires_at, a.r ->> 'consentRef' as consent_ref,
                   a.r ->> 'idempotencyKey' as idempotency_key, a.r ->> 'traceparent' as traceparent
            from jsonb_array_elements(p_requests) with ordinality as a (r, n)
            offset 0) t   -- a fence: evaluated once although used twice
        offset 0) q
$$;

-- read_request: a single request.
create or replace function pgdial.read_request(
    p_request jsonb,
    out phone text, out timezone text[], out region text, out script_id text, out metadata jsonb, out campaign text, out from_number text,
    out priority smallint, out run_at timestamptz, out expires_at timestamptz, out max_attempts int,
    out idempotency_key text, out request_hash bytea, out problem text,
    out consent_at timestamptz, out consent_ref text, out consent_expires_at timestamptz
)
language sql stable
as $$
    select r.phone, r.timezone, r.region, r.script_id, r.metadata, r.campaign, r.from_number, r.priority, r.run_at, r.expires_at,
           r.max_attempts, r.idempotency_key, r.request_hash, r.problem,
           r.consent_at, r.consent_ref, r.consent_expires_at
    from pgdial.read_requests(jsonb_build_array(p_request)) r
$$;

-- misshapen: what is wrong with a request that is not an object of known fields with their types.
create or replace function pgdial.misshapen(p_request jsonb) returns text
language plpgsql immutable
as $$
declare
    v_known constant text[] := array['to', 'timezone', 'region', 'scriptId', 'metadata', 'campaign', 'from', 'priority',
                                     'runAt', 'expiresAt', 'maxAttempts', 'idempotencyKey', 'traceparent',
                                     'consentAt', 'consentRef', 'consentExpiresAt'];
begin
    if jsonb_typeof(p_request) is distinct from 'object' then
        return 'a request is a JSON object with at least "to" and "scriptId"';
    end if;
    return (select string_agg(case when k <> all (v_known)
                then format('"%s" is an unknown field: known are %s', left(k, 60), array_to_string(v_known, ', '))
                when k = 'to' then '"to" must be a string, or a list of strings'
                else format('"%s" must be a string', k) end, chr(10) order by k)
            from jsonb_each(p_request) as e (k, v)
            where k <> all (v_known) and jsonb_typeof(v) <> 'null'
               or k = any (array['to', 'region', 'scriptId', 'campaign', 'from', 'runAt', 'expiresAt', 'idempotencyKey', 'traceparent',
                                'consentAt', 'consentRef', 'consentExpiresAt'])
                  and jsonb_typeof(v) not in ('string', 'null') and not (k = 'to' and jsonb_typeof(v) = 'array'));
end $$;
