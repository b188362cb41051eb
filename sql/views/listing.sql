-- list_calls: one page of the calls that a filter selects (pgdial.read_filter; empty: all), newest first.
-- ids: at most p_limit, below p_below. below: where the next page begins; null: that was all. A page may be short, or
-- empty, and not the last: it visits some thousands of rows at most, so that it takes some milliseconds however many
-- calls there are and however few of them match.
--   select * from pgdial.list_calls('{"state": ["waiting", "failed"], "campaign": "default"}', null, 50);
-- Races: none; a call that arrives meanwhile is on none of the following pages.
-- Plans: candidates come from what bounds them best: ids, the number, what is in flight, what waits, an end time, the
-- history by campaign and state; and if each of these is long, from all calls in their order. Candidates are
-- sorted and end at the place up to which they are complete; then each is visited until the page is full.
create or replace function pgdial.list_calls(
    p_filter jsonb, p_below uuid, p_limit int, out ids uuid[], out below uuid
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
set enable_seqscan = off
set jit = off
as $$
declare
    v_filter constant pgdial.call_filter := pgdial.read_filter(p_filter || '{"all": true}');
    v_from constant uuid := pgdial.uuid_floor(coalesce(v_filter.created_after, to_timestamp(0)));
    -- The ids of a batch lie within milliseconds after its created_at.
    v_until constant uuid := least(p_below, pgdial.uuid_floor(
        coalesce(least(v_filter.created_before, v_filter.ended_before) + '1 minute'::interval, to_timestamp(0) + '8000 years'::interval)));
    v_most constant int := p_limit + 1;     -- one more, to know whether there is another page
    v_found record;
    v_next int := 1;
    v_step int := 2 * p_limit;
begin
    if coalesce(p_limit, 0) not between 1 and 10000 then
        raise exception '"limit" is a whole number from 1 to 10000' using errcode = 'invalid_parameter_value';
    end if;
    v_found := pgdial.list_candidates(v_filter, v_from, v_until, v_most);
    if v_found.candidates is not null then
        ids := '{}';
        -- More and more at once: most often the first of them fill the page.
        while cardinality(ids) < v_most and v_next <= cardinality(v_found.candidates) loop
            ids := ids || array(
                select c.id
                from unnest(v_found.candidates[v_next : v_next + v_step - 1]) with ordinality as i (id, n)
                     cross join lateral (select c.id, c as call from pgdial.calls c where c.id = i.id offset 0) c
                where pgdial.fits(c.call, v_filter) order by i.n limit v_most - cardinality(ids));
            v_next := v_next + v_step;
            v_step := 4 * v_step;
        end loop;
        below := v_found.complete_to;
    else
        ids := array(
            select w.id
            from (select c.id, pgdial.fits(c, v_filter) as fits from pgdial.calls c
                  where c.id < v_until and c.id >= v_from order by c.id desc limit pgdial.list_walk()) w
            where w.fits limit v_most);
        if cardinality(ids) < v_most then
            below := (select c.id from pgdial.calls c where c.id < v_until and c.id >= v_from order by c.id desc
                      offset pgdial.list_walk() - 1 limit 1);
        end if;
    end if;
    if cardinality(ids) = v_most then
        below := ids[p_limit];
        ids := ids[1:p_limit];
    end if;
end $$;

-- list_walk: rows that one page of calls visits at most.
create or replace function pgdial.list_walk() returns int
language sql immutable
as $$ select 20000 $$;

-- list_candidates: the calls among which a page of calls is, newest first, and the id down to which they are complete
-- (null: to the end). candidates null: nothing bounds them, so the page walks all calls.
create or replace function pgdial.list_candidates(
    p_filter pgdial.call_filter, p_from uuid, p_until uuid, p_limit int, out candidates uuid[], out complete_to uuid
)
language plpgsql stable
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
set enable_seqscan = off
set jit = off
as $$
declare
    v_walk constant int := pgdial.list_walk();
    v_states constant text[] := coalesce(p_filter.states, enum_range(null::pgdial.call_state)::text[]);
    v_over constant text[] := array(select unnest(v_states) except select unnest('{waiting,dialing,unresolved,in_call}'::text[]));
    -- Whether the campaign and the state say which calls match.
    v_is_plain constant boolean := p_filter.outcomes is null and p_filter.trunk is null and p_filter.metadata_key is null and p_filter.error is null
        and p_filter.run_after is null and p_filter.run_before is null and p_filter.ended_after is null and p_filter.ended_before is null;
    v_campaigns text[];
    v_each int;
begin
    if p_filter.ids is not null then
        candidates := p_filter.ids;
    elsif p_filter.phone is not null then
        -- Fenced, both: the order would lead the planner along all ids.
        candidates := array(
            select o.id from (
                (select c.id from pgdial.calls c where c.phone = p_filter.phone and c.id < p_until and c.id >= p_from
                 order by c.phone desc, c.id desc limit v_walk)
                union
                select a.id from (select c.id from pgdial.calls c where c.numbers @> array[p_filter.phone] offset 0) a) o
            where o.id < p_until order by o.id desc limit v_walk);
        complete_to := candidates[v_walk];
    elsif cardinality(v_over) > 0 and (p_filter.ended_after is not null or p_filter.ended_before is not null) then
        candidates := array(select c.id from pgdial.calls c
                            where c.ended_at is not null and c.ended_at >= coalesce(p_filter.ended_after, '-infinity')
                              and c.ended_at < coalesce(p_filter.ended_before, 'infinity') limit v_walk + 1);
        if cardinality(candidates) > v_walk then
            candidates := null;
        end if;
    end if;
    if candidates is null and (p_filter.campaign is not null or p_filter.states is not null) then
        candidates := array(select c.id from pgdial.calls c
                            where c.state in ('dialing', 'unresolved', 'in_call') and c.state::text = any (v_states));
        if 'waiting' = any (v_states) then
            candidates := candidates || case when p_filter.campaign is not null
                then array(select c.id from pgdial.calls c where c.state = 'waiting' and c.campaign = p_filter.campaign limit v_walk + 1)
                else array(select c.id from pgdial.calls c where c.state = 'waiting' limit v_walk + 1) end;
            if cardinality(candidates) > v_walk then
                candidates := null;
                return;
            end if;
        end if;
        if cardinality(v_over) > 0 then
            v_campaigns := case when p_filter.campaign is not null then array[p_filter.campaign]
                                else pgdial.campaigns_of_history() end;
            v_each := case when v_is_plain then p_limit + 1
                           else greatest(p_limit + 1, v_walk / 4 / greatest(cardinality(v_campaigns) * cardinality(v_over), 1)) end;
            with part as (
                select o.ids, o.ids[v_each] as last
                from unnest(v_campaigns) k (campaign) cross join unnest(v_over) s (state)
                     cross join lateral (select array(
                         select c.id from pgdial.calls c
                         where c.ended_at is not null and c.campaign = k.campaign and c.state = s.state::pgdial.call_state
                           and c.id < p_until and c.id >= p_from
                         order by c.id desc limit v_each) as ids) o
            )
            select candidates || coalesce((select array_agg(i) from part p, unnest(p.ids) i), '{}'),
                   (select p.last from part p where p.last is not null order by p.last desc limit 1)
            into candidates, complete_to;
        end if;
    end if;
    candidates := case when candidates is not null then array(
        select i from unnest(candidates) i
        where i < p_until and i >= p_from and (complete_to is null or i >= complete_to) order by i desc) end;
end $$;

-- campaigns_of_history: the campaigns that have finished calls, by jumping along calls_over.
create or replace function pgdial.campaigns_of_history() returns text[]
language sql stable
set enable_seqscan = off
set jit = off
as $$
    with recursive known (campaign) as (
        select min(c.campaign) from pgdial.calls c where c.ended_at is not null
        union all
        select (select min(c.campaign) from pgdial.calls c where c.ended_at is not null and c.campaign > k.campaign)
        from known k where k.campaign is not null
    )
    select array(select k.campaign from known k where k.campaign is not null)
$$;

-- find_calls: the calls that a text names, newest first: a telephone number in any spelling (a national one is read in
-- p_region, or in every region: whoever asks has a number, and wants to know whether it was called), the id of a call, its beginning, or a reference, the
-- provider's id of its latest dial, its idempotency key, or "key=value" of its metadata, which is looked for among the
-- newest 100,000 calls.
--   select find_calls from pgdial.find_calls('(415) 555-0100', p_region => 'US');
create or replace function pgdial.find_calls(
    p_text text, p_campaign text default null, p_region text default null, p_limit int default 20
) returns setof uuid
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
set enable_seqscan = off
set jit = off
as $$
declare
    v_text constant text := left(btrim(p_text, ' ' || chr(9) || chr(10) || chr(13)), 1000);
    v_id constant text := lower(coalesce(substring(v_text from '^([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})-[0-9]+$'), v_text));
    v_phones text[];
    v_key constant text := split_part(v_text, '=', 1);
    v_found uuid[] := '{}';
begin
    select array_agg(distinct n.phone) into v_phones
    from (select p_region as region
          union all
          select jsonb_object_keys(pgdial.phone_plans() -> 'plans') where p_region is null) r
         cross join lateral (select pgdial.normal_phone(v_text, r.region) as phone) n
    where n.phone is not null;
    v_found := pgdial.calls_beginning(v_id, p_limit, p_campaign)
        || pgdial.calls_of_provider(v_text, null) || pgdial.calls_of_key(v_text)
        || array(select o.id from unnest(v_phones) f (phone), lateral (
                (select c.id from pgdial.calls c where c.phone = f.phone and (p_campaign is null or c.campaign = p_campaign)
                 order by c.phone desc, c.id desc limit p_limit)
                union
                select a.id from (select c.id from pgdial.calls c where c.numbers @> array[f.phone] offset 0) a) o)
        || case when v_key <> '' and v_key <> v_text then array(
                select w.id from (select c.id, c.campaign, c.metadata from pgdial.calls c order by c.id desc limit 100000) w
                where w.metadata ->> v_key = substr(v_text, length(v_key) + 2) and (p_campaign is null or w.campaign = p_campaign)
                limit p_limit) else '{}' end;
    return query
        select c.id from pgdial.calls c
        where c.id = any (v_found) and (p_campaign is null or c.campaign = p_campaign)
        order by c.id desc limit p_limit;
end $$;

-- calls_beginning: the newest calls whose id begins like this, with dashes or without; at least four digits.
create or replace function pgdial.calls_beginning(p_text text, p_limit int, p_campaign text default null) returns uuid[]
language plpgsql stable
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_digits constant text := replace(lower(p_text), '-', '');
begin
    if v_digits !~ '^[0-9a-f]{4,32}$' then
        return '{}';
    end if;
    return array(
        select c.id from pgdial.calls c
        where c.id >= rpad(v_digits, 32, '0')::uuid and c.id <= rpad(v_digits, 32, 'f')::uuid
          and (p_campaign is null or c.campaign = p_campaign)
        order by c.id desc limit p_limit);
end $$;
