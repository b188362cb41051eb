-- find_heads: the first waiting call of each campaign and priority. Normally found by walking the index. While
-- an old snapshot is held, that walk meets every call claimed since; once it has become expensive, the known
-- heads are probed instead, each from where it was last found, and the next full walk comes after twenty times
-- the duration of this one. Until then a campaign that had no calls before, and a call that goes back to an
-- earlier time, wait: at most 5 s.
-- look_again_at: when the next full walk is due; null after one. Without heads, the result is not final before
-- it.
-- Kept in the session, and only a hint: what is claimed is read from the rows.
-- Index: calls_claimable.
create or replace function pgdial.find_heads(
    p_now timestamptz, out heads pgdial.head[], out look_again_at timestamptz
)
language plpgsql volatile
as $$
declare
    v_known pgdial.head[] := nullif(current_setting('pgdial.known_heads', true), '')::pgdial.head[];
    v_until timestamptz := nullif(current_setting('pgdial.known_heads_until', true), '')::timestamptz;
    v_started timestamptz;
    v_took interval;
begin
    -- Ignored if it is in the future: the clock has gone back.
    if v_known is not null and v_until between p_now and p_now + '5 seconds' then
        heads := pgdial.known_heads(v_known);
        look_again_at := v_until;
    else
        v_started := clock_timestamp();     -- real time, not pgdial.now(): it measures work
        heads := array(select h from pgdial.heads() h);
        v_took := clock_timestamp() - v_started;
        if coalesce(current_setting('pgdial.has_walked', true), '') = '' then
            -- The first walk of a session includes planning and cold caches, so it is not measured.
            perform set_config('pgdial.has_walked', 'yes', false);
            v_started := clock_timestamp();
            heads := array(select h from pgdial.heads() h);
            v_took := clock_timestamp() - v_started;
        end if;
        -- Cheap enough: no longer than probing that many heads would take. Or too many heads to remember
        -- cheaply.
        if cardinality(heads) > 100 or v_took < '1 millisecond'::interval * (1 + 0.2 * cardinality(heads)) then
            if v_known is not null then
                perform set_config('pgdial.known_heads', '', false);
            end if;
            return;
        end if;
        v_until := p_now + least(v_took * 20, '5 seconds');
        perform set_config('pgdial.known_heads_until', v_until::text, false);
    end if;
    perform set_config('pgdial.known_heads', pgdial.know_heads(v_known, heads, p_now)::text, false);
end $$;

-- know_heads: where to probe next time: where each head was found, but never within the last two seconds,
-- because enqueues commit a little later than the time that they carry. A head that is empty now stays known.
create or replace function pgdial.know_heads(
    p_known pgdial.head[], p_found pgdial.head[], p_now timestamptz
) returns pgdial.head[]
language plpgsql immutable
as $$
begin
    return array(
        select row(campaign, priority, greatest(k.run_at, least(f.run_at, p_now - '2 seconds'::interval)))::pgdial.head
        from unnest(p_known) k full join unnest(p_found) f using (campaign, priority)
        order by campaign, priority desc limit 100);
end $$;

-- known_heads: the heads found by probing the known ones.
create or replace function pgdial.known_heads(p_known pgdial.head[]) returns pgdial.head[]
language plpgsql stable
as $$
begin
    return array(
        select row(k.campaign, k.priority, c.run_at)::pgdial.head
        from unnest(p_known) k
             cross join lateral (
                 select c.run_at from pgdial.calls c
                 where c.state = 'waiting' and c.campaign = k.campaign and c.priority = k.priority and c.run_at >= k.run_at
                 order by c.run_at limit 1) c);
end $$;

-- heads: each campaign and priority with a waiting call, by jumping along the index, so that a campaign with
-- 500,000 waiting calls costs two probes. Entries of calls claimed since the last vacuum come before them in
-- the index: they are stepped over once, here, and later scans begin at run_at.
create or replace function pgdial.heads() returns setof pgdial.head
language plpgsql stable
as $$
declare
    v_head pgdial.head;
    v_next pgdial.head;
begin
    select c.campaign, c.priority, c.run_at into v_head from pgdial.calls c
    where c.state = 'waiting' order by c.campaign, c.priority desc, c.run_at limit 1;
    while found loop
        return next v_head;
        select c.campaign, c.priority, c.run_at into v_next from pgdial.calls c
        where c.state = 'waiting' and c.campaign = v_head.campaign and c.priority < v_head.priority
        order by c.priority desc, c.run_at limit 1;
        if not found then
            select c.campaign, c.priority, c.run_at into v_next from pgdial.calls c
            where c.state = 'waiting' and c.campaign > v_head.campaign
            order by c.campaign, c.priority desc, c.run_at limit 1;
        end if;
        v_head := v_next;
    end loop;
end $$;
