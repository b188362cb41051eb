-- read_request: one request of enqueue, read and checked; the one place for its limits.
-- p_request: the JSON object of POST /calls, with idempotencyKey inside.
-- Answers the typed fields, the hash over the normalised request (two spellings of
-- one number are one request), and problem: null, or a sentence that says what to do.
create or replace function pgdial.read_request(
    p_request jsonb,
    out phone text, out script_id text, out metadata jsonb, out campaign text, out from_number text,
    out priority smallint, out run_at timestamptz, out expires_at timestamptz, out max_attempts int,
    out idempotency_key text, out request_hash bytea, out problem text
)
language plpgsql stable
as $$
declare
    v_known constant text[] := array['to', 'scriptId', 'metadata', 'campaign', 'from', 'priority',
                                     'runAt', 'expiresAt', 'maxAttempts', 'idempotencyKey'];
    v_field text;
begin
    if jsonb_typeof(p_request) is distinct from 'object' then
        problem := 'a request is a JSON object with at least "to" and "scriptId"';
        return;
    end if;
    p_request := jsonb_strip_nulls(p_request - 'metadata')
        || case when jsonb_typeof(p_request -> 'metadata') in ('null') then '{}'
                when p_request ? 'metadata' then jsonb_build_object('metadata', p_request -> 'metadata')
                else '{}' end;

    select k into v_field from jsonb_object_keys(p_request) k where k <> all (v_known) limit 1;
    if v_field is not null then
        problem := format('unknown field "%s": known are %s', left(v_field, 60), array_to_string(v_known, ', '));
        return;
    end if;
    select k into v_field from jsonb_each(p_request) as e (k, v)
    where k = any (array['to', 'scriptId', 'campaign', 'from', 'runAt', 'expiresAt', 'idempotencyKey'])
      and jsonb_typeof(v) <> 'string' limit 1;
    if v_field is not null then
        problem := format('"%s" must be a string', v_field);
        return;
    end if;

    phone := pgdial.normal_phone(p_request ->> 'to');
    script_id := p_request ->> 'scriptId';
    metadata := coalesce(p_request -> 'metadata', '{}');
    campaign := coalesce(p_request ->> 'campaign', 'default');
    from_number := pgdial.normal_phone(p_request ->> 'from');
    run_at := pgdial.read_timestamp(p_request ->> 'runAt');
    expires_at := pgdial.read_timestamp(p_request ->> 'expiresAt');
    idempotency_key := p_request ->> 'idempotencyKey';

    problem := case
        when not p_request ? 'to' then '"to" is missing: the number to ring, as in "+14155550100"'
        when phone is null then
            '"to" is not an E.164 number: write + and the country code, then 7 to 15 digits in all, as in "+14155550100"'
        when not p_request ? 'scriptId' then '"scriptId" is missing: what the provider should say, as in "welcome"'
        when length(script_id) not between 1 and 200 then '"scriptId" must have 1 to 200 characters'
        when jsonb_typeof(metadata) <> 'object' then '"metadata" must be a JSON object'
        when octet_length(metadata::text) > 16384 then '"metadata" is larger than 16 KiB: send a reference to the data instead'
        when metadata @? '$.**{33}' then '"metadata" has more than 32 levels: send a reference to the data instead'
        when metadata @? '$.** ? (@.type() == "number" && (@ > 1e300 || @ < -1e300))' then
            '"metadata" has a number beyond 1e300: send it as a string'
        when p_request ? 'from' and from_number is null then
            '"from" is not an E.164 number: write + and the country code, then 7 to 15 digits in all, as in "+14155550199"'
        -- 5.0 is a whole number to JSON and to JSON Schema.
        when p_request ? 'priority' and not (p_request -> 'priority')::text ~ '^[0-9](\.0+)?$' then
            '"priority" must be a whole number from 0 to 9 (higher first)'
        when p_request ? 'maxAttempts' and not (p_request -> 'maxAttempts')::text ~ '^([1-9]|1[0-9]|20)(\.0+)?$' then
            '"maxAttempts" must be a whole number from 1 to 20'
        when p_request ? 'runAt' and run_at is null then
            '"runAt" must be an RFC 3339 time with an offset, as in "2026-01-31T09:00:00Z"'
        when p_request ? 'expiresAt' and expires_at is null then
            '"expiresAt" must be an RFC 3339 time with an offset, as in "2026-01-31T17:00:00Z"'
        when expires_at <= run_at then '"expiresAt" must be later than "runAt"'
        when length(idempotency_key) not between 1 and 255 then 'an idempotency key has 1 to 255 characters'
    end;
    if problem is not null then
        return;
    end if;

    priority := coalesce((p_request ->> 'priority')::numeric::smallint, 0);
    max_attempts := (p_request ->> 'maxAttempts')::numeric::int;
    -- jsonb has one text for one value (keys sorted, numbers in one form), so the hash is over meaning.
    request_hash := sha256(convert_to(jsonb_build_array(
        phone, script_id, metadata, campaign, from_number, priority,
        extract(epoch from run_at), extract(epoch from expires_at), max_attempts)::text, 'UTF8'));
end $$;
