-- read_filter: parse and check a filter of calls. p_filter: a JSON object with
--   ids (an array), state, outcome (a word or an array of them), to (with region), campaign, trunk (of the latest
--   claim; of a waiting call that of its campaign), providerCallId (of the latest claim), idempotencyKey,
--   metadata ("key=value", compared as text), error (what pgdial.error_words makes of the last error), createdAfter, createdBefore, runAfter, runBefore (of runAt),
--   endedAfter, endedBefore (RFC 3339; "after" includes the instant).
-- Anything else is refused with a sentence that says what to do, and so is a campaign or trunk that there is not. {"all": true} stands for every call: an empty
-- filter is more often a mistake than intended.
create or replace function pgdial.read_filter(p_filter jsonb) returns pgdial.call_filter
language plpgsql stable
set enable_seqscan = off       -- a campaign that is gone is looked for among the calls
set jit = off
as $$
declare
    v_filter constant jsonb := case when jsonb_typeof(p_filter) = 'object' then jsonb_strip_nulls(p_filter) end;
    v_read pgdial.call_filter;
    v_field text;
    v_problem text;
begin
    if v_filter is null then
        raise exception 'a filter is a JSON object, as in {"campaign": "spring-2026", "state": "failed"}'
            using errcode = 'invalid_parameter_value';
    end if;
    perform pgdial.refuse(pgdial.unknown_fields(v_filter, array['ids', 'state', 'outcome', 'to', 'region', 'campaign', 'trunk',
        'providerCallId', 'idempotencyKey', 'metadata', 'error', 'createdAfter', 'createdBefore', 'runAfter', 'runBefore',
        'endedAfter', 'endedBefore', 'all']));
    if v_filter - '{all,region}'::text[] = '{}' and v_filter -> 'all' is distinct from 'true' then
        raise exception 'an empty filter means every call: say {"all": true} if that is meant'
            using errcode = 'invalid_parameter_value';
    end if;
    foreach v_field in array array['campaign', 'trunk', 'providerCallId', 'idempotencyKey', 'metadata', 'error'] loop
        if jsonb_typeof(v_filter -> v_field) <> 'string' then
            raise exception '"%" must be a string', v_field using errcode = 'invalid_parameter_value';
        end if;
    end loop;
    foreach v_field in array array['createdAfter', 'createdBefore', 'runAfter', 'runBefore', 'endedAfter', 'endedBefore'] loop
        if v_filter ? v_field and pgdial.read_timestamp(v_filter ->> v_field) is null then
            raise exception '"%" must be an RFC 3339 time with an offset, as in "2026-01-31T09:00:00Z"', v_field
                using errcode = 'invalid_parameter_value';
        end if;
    end loop;
    v_read.ids := case when v_filter ? 'ids' then pgdial.read_ids(v_filter -> 'ids') end;
    v_read.states := pgdial.read_words(v_filter, 'state', enum_range(null::pgdial.call_state)::text[]);
    v_read.outcomes := pgdial.read_words(v_filter, 'outcome', enum_range(null::pgdial.outcome)::text[]);
    v_read.campaign := v_filter ->> 'campaign';
    v_read.trunk := v_filter ->> 'trunk';
    v_read.phone := case when v_filter ? 'to' then pgdial.needed_phone(v_filter ->> 'to', v_filter ->> 'region', '"to"') end;
    v_read.metadata_key := split_part(v_filter ->> 'metadata', '=', 1);
    v_read.metadata_value := substr(v_filter ->> 'metadata', length(v_read.metadata_key) + 2);
    v_read.error := v_filter ->> 'error';
    v_read.created_after := pgdial.read_timestamp(v_filter ->> 'createdAfter');
    v_read.created_before := pgdial.read_timestamp(v_filter ->> 'createdBefore');
    v_read.run_after := pgdial.read_timestamp(v_filter ->> 'runAfter');
    v_read.run_before := pgdial.read_timestamp(v_filter ->> 'runBefore');
    v_read.ended_after := pgdial.read_timestamp(v_filter ->> 'endedAfter');
    v_read.ended_before := pgdial.read_timestamp(v_filter ->> 'endedBefore');
    v_problem := case
        -- Also where no number needs it.
        when v_filter ? 'region' and pgdial.region_problem(v_filter ->> 'region') is not null
            then '"region" is ' || pgdial.region_problem(v_filter ->> 'region')
        when v_filter ? 'all' and v_filter -> 'all' <> 'true' then '"all" is true, or left out'
        when strpos(v_filter ->> 'metadata', '=') < 2 then '"metadata" is a key and a value, as in "lead=4711"'
        -- One that was removed by hand still has its calls.
        when v_read.campaign is not null
             and not exists (select from pgdial.campaigns g where g.name = v_read.campaign)
             and not exists (select from pgdial.calls c where c.ended_at is not null and c.campaign = v_read.campaign)
             and not exists (select from pgdial.calls c where c.state = 'waiting' and c.campaign = v_read.campaign)
            then format('there is no campaign "%s"', left(v_read.campaign, 100))
        when v_read.trunk is not null
             and not exists (select from pgdial.trunks t where t.name = v_read.trunk)
             and not exists (select from pgdial.calls c where c.trunk = v_read.trunk and c.provider_call_id is not null)
            then format('there is no trunk "%s"', left(v_read.trunk, 100)) end;
    if v_problem is not null then
        raise exception '%', v_problem using errcode = 'invalid_parameter_value';
    end if;
    v_read.trunk_campaigns := case when v_read.trunk is not null
        then array(select g.name from pgdial.campaigns g where g.trunk = v_read.trunk) end;
    if v_filter ? 'providerCallId' then
        v_read.ids := pgdial.within(v_read.ids, pgdial.calls_of_provider(v_filter ->> 'providerCallId', v_read.trunk));
    end if;
    if v_filter ? 'idempotencyKey' then
        v_read.ids := pgdial.within(v_read.ids, pgdial.calls_of_key(v_filter ->> 'idempotencyKey'));
    end if;
    return v_read;
end $$;

-- read_words: a word or an array of known words; null if there is none.
create or replace function pgdial.read_words(p_filter jsonb, p_field text, p_known text[]) returns text[]
language plpgsql immutable
as $$
declare
    v_given constant jsonb := p_filter -> p_field;
    v_words text[];
begin
    if v_given is null then
        return null;
    end if;
    v_words := case jsonb_typeof(v_given) when 'array' then array(select jsonb_array_elements_text(v_given))
                                          else array[v_given #>> '{}'] end;
    if cardinality(v_words) = 0 or not v_words <@ p_known then
        raise exception '"%" is one or several of %', p_field, array_to_string(p_known, ', ')
            using errcode = 'invalid_parameter_value';
    end if;
    return v_words;
end $$;

-- read_ids: an array of ids; null if there is none.
create or replace function pgdial.read_ids(p_ids jsonb) returns uuid[]
language plpgsql immutable
as $$
begin
    if jsonb_typeof(p_ids) = 'array' and jsonb_array_length(p_ids) <= 10000 then
        return array(select jsonb_array_elements_text(p_ids)::uuid);
    end if;
    raise exception '"ids" is an array of at most 10000 ids of calls' using errcode = 'invalid_parameter_value';
exception when invalid_text_representation then
    raise exception '"ids" holds something that is no id of a call' using errcode = 'invalid_parameter_value';
end $$;

-- within: those of p_ids that are in p_found; without p_ids all of p_found.
create or replace function pgdial.within(p_ids uuid[], p_found uuid[]) returns uuid[]
language sql immutable
as $$ select case when p_ids is null then p_found else array(select unnest(p_ids) intersect select unnest(p_found)) end $$;

-- calls_of_provider: the calls whose latest dial has this id at its provider.
-- Index: calls_provider_id, jumping from trunk to trunk.
create or replace function pgdial.calls_of_provider(p_id text, p_trunk text) returns uuid[]
language sql stable
set enable_seqscan = off
set jit = off
as $$
    with recursive known (trunk) as (
        select coalesce(p_trunk, (select min(c.trunk) from pgdial.calls c where c.provider_call_id is not null))
        union all
        select (select min(c.trunk) from pgdial.calls c where c.provider_call_id is not null and c.trunk > k.trunk)
        from known k where k.trunk is not null and p_trunk is null
    )
    select array(select c.id from known k join pgdial.calls c on c.trunk = k.trunk and c.provider_call_id = p_id
                 where c.provider_call_id is not null limit 10000)
$$;

-- calls_of_key: the calls that were asked for with this idempotency key, one of each owner.
-- Index: calls_idempotency, jumping from owner to owner.
create or replace function pgdial.calls_of_key(p_key text) returns uuid[]
language sql stable
set enable_seqscan = off
set jit = off
as $$
    with recursive known (owner) as (
        select min(c.owner) from pgdial.calls c where c.idempotency_key is not null
        union all
        select (select min(c.owner) from pgdial.calls c where c.idempotency_key is not null and c.owner > k.owner)
        from known k where k.owner is not null
    )
    select array(select c.id from known k join pgdial.calls c on c.owner = k.owner and c.idempotency_key = p_key
                 where c.idempotency_key is not null)
$$;

-- fits: does this call match? Postgres inlines it into the statement.
create or replace function pgdial.fits(p_call pgdial.calls, p_filter pgdial.call_filter) returns boolean
language sql stable
as $$
    select ((p_filter).states is null or (p_call).state::text = any ((p_filter).states))
       and ((p_filter).outcomes is null or (p_call).outcome::text = any ((p_filter).outcomes))
       and ((p_filter).phone is null or (p_call).phone = (p_filter).phone or (p_filter).phone = any ((p_call).numbers))
       and ((p_filter).campaign is null or (p_call).campaign = (p_filter).campaign)
       and ((p_filter).trunk is null or coalesce((p_call).trunk = (p_filter).trunk,
                (p_call).state::text = 'waiting' and (p_call).campaign = any ((p_filter).trunk_campaigns)))
       and ((p_filter).metadata_key is null or (p_call).metadata ->> (p_filter).metadata_key = (p_filter).metadata_value)
       and ((p_filter).run_after is null or (p_call).run_at >= (p_filter).run_after)
       and ((p_filter).run_before is null or (p_call).run_at < (p_filter).run_before)
       and ((p_filter).created_after is null or (p_call).created_at >= (p_filter).created_after)
       and ((p_filter).created_before is null or (p_call).created_at < (p_filter).created_before)
       and ((p_filter).ended_after is null or (p_call).ended_at >= (p_filter).ended_after)
       and ((p_filter).ended_before is null or (p_call).ended_at < (p_filter).ended_before)
       -- Last: it reads a text.
       and ((p_filter).error is null or pgdial.error_words((p_call).last_error) = (p_filter).error)
$$;

-- matching: up to p_limit calls that fit, from p_cursor on, visiting at most p_walk rows (or all that are
-- live): one call takes bounded time, however many calls there are and however few fit.
-- p_scope: live (waiting, or in flight without a cancel request), flying (in flight), over, or any.
-- cursor: where to continue, an opaque text; null = that was all.
-- No call is visited twice within one run, whatever happens to it meanwhile: a call that is redriven and fails
-- again would otherwise be redriven for ever. Walks go by id, which never changes; with an end time in the
-- filter by that, up to the time of the first call.
-- Each walk follows the order of one index: by id for ids and for a number (calls_to), calls_ended for an end
-- time, else the primary key, which sorts by creation. Live calls are sorted: all of calls_in_flight, which is
-- short, and of calls_claimable, restricted to the campaign if one is given.
create or replace function pgdial.matching(
    p_filter pgdial.call_filter, p_scope text, p_cursor text, p_limit int, p_walk int,
    out ids uuid[], out cursor text
)
language plpgsql stable
set max_parallel_workers_per_gather = 0
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
-- The cost is the number of rows visited. Priced by pages, walking all ids in order looks cheaper to the
-- planner than the few waiting calls.
set random_page_cost = 0.01
set seq_page_cost = 0.01
set datestyle = 'ISO'
set timezone = 'UTC'
as $$
declare
    v_way constant text := case
        when p_filter.ids is not null then 'ids'
        when p_filter.phone is not null then 'phone'
        when p_scope in ('live', 'flying') then p_scope
        when p_filter.ended_after is not null or p_filter.ended_before is not null then 'ended'
        else 'created' end;
    v_row record;
    v_id uuid := '00000000-0000-0000-0000-000000000000';
    v_at timestamptz := coalesce(p_filter.ended_after, '-infinity');
    v_until timestamptz := pgdial.now();
    v_walked int := 0;
begin
    if p_cursor is not null then
        begin
            v_id := split_part(p_cursor, '/', 1)::uuid;
            if v_way = 'ended' then
                v_at := split_part(p_cursor, '/', 2)::timestamptz;
                v_until := split_part(p_cursor, '/', 3)::timestamptz;
            end if;
        exception when data_exception then
            raise exception 'the cursor is not one of ours, or belongs to another filter'
                using errcode = 'invalid_parameter_value';
        end;
    end if;
    ids := '{}';
    for v_row in execute pgdial.walk(v_way, p_scope, p_filter.campaign is not null) using p_filter, v_id, v_at,
        least(p_filter.ended_before, v_until),
        -- The ids of a batch lie within milliseconds after its created_at.
        pgdial.uuid_floor(coalesce(p_filter.created_after, to_timestamp(0))),
        pgdial.uuid_floor(coalesce(p_filter.created_before + '1 minute'::interval, to_timestamp(0) + '8000 years'::interval)),
        p_limit, p_walk
    loop
        if v_row.fits then
            ids := ids || v_row.id;
        end if;
        v_walked := v_walked + 1;
        if cardinality(ids) >= p_limit or v_walked >= p_walk then
            cursor := concat_ws('/', v_row.id, case when v_way = 'ended' then v_row.ended_at end,
                                case when v_way = 'ended' then v_until end);
            exit;
        end if;
    end loop;
end $$;

-- walk: the statement of matching. $1 filter, $2 after this id, $3 and $4 ended from and before, $5 and $6 ids
-- from and before, $7 maximum matches, $8 maximum rows.
create or replace function pgdial.walk(p_way text, p_scope text, p_of_campaign boolean) returns text
language plpgsql immutable
as $$
declare
    v_waiting constant text := 'c.state = ''waiting''';
    v_flying constant text := 'c.state in (''dialing'', ''unresolved'', ''in_call'')';
    v_unwished constant text := v_flying || ' and c.cancel_requested_at is null';
    v_live constant text := 'select c.id, c.ended_at, true as fits from pgdial.calls c where %s and c.id > $2 and pgdial.fits(c, $1)';
begin
    if p_way = 'live' then
        -- Fenced: the order would lead the planner along all ids, past everything that has ended.
        return 'select * from (' || format(v_live, v_unwished) || ' union all '
            || format(v_live, v_waiting || case when p_of_campaign then ' and c.campaign = ($1).campaign' else '' end)
            || ' offset 0) u order by u.id limit $7';
    elsif p_way = 'flying' then
        return 'select * from (' || format(v_live, v_flying) || ' offset 0) u order by u.id limit $7';
    end if;
    return 'select c.id, c.ended_at, pgdial.fits(c, $1)'
        || case p_scope when 'live' then format(' and (%s or %s)', v_waiting, v_unwished)
                        when 'flying' then ' and ' || v_flying
                        when 'over' then ' and c.state not in (''waiting'', ''dialing'', ''unresolved'', ''in_call'')'
                        else '' end
        || ' as fits from pgdial.calls c where '
        || case p_way
            when 'ids' then 'c.id = any (($1).ids) and c.id > $2 order by c.id'
            when 'phone' then 'c.id = any (array(select t from pgdial.calls_to(($1).phone, $2, $8) t)) order by c.id'
            when 'ended' then 'c.ended_at is not null and c.ended_at >= $3 and c.ended_at < $4'
                              ' and (c.ended_at, c.id) > ($3, $2) order by c.ended_at, c.id'
            else 'c.id > $2 and c.id >= $5 and c.id < $6 order by c.id' end
        -- A limit, so that the planner knows how soon it ends, and does not sort what it need not read.
        || ' limit $8';
end $$;

-- uuid_floor: below every id that was made at this time or later.
create or replace function pgdial.uuid_floor(p_at timestamptz) returns uuid
language sql immutable parallel safe
as $$
    select rpad(lpad(to_hex(greatest(floor(extract(epoch from p_at) * 1000)::bigint, 0)), 12, '0'), 32, '0')::uuid
$$;
