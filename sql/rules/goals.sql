-- What stops or slows a campaign by itself: a goal, a budget, a guard of its answer rate; a ramp. Each pauses it with
-- the numbers, and none resumes it. A person who resumes it starts the answer rate anew; goal and budget stay reached
-- until they are raised, so it is paused again before anything is dialled.

-- present_cap: its cap now. While it ramps up, from + step for each time that has passed since its latest resume, its
-- start or its creation.
create or replace function pgdial.present_cap(p_campaign pgdial.campaigns, p_now timestamptz) returns int
language plpgsql stable
as $$
begin
    if p_campaign.ramp_from is null then
        return p_campaign.cap;
    end if;
    return least(p_campaign.cap, p_campaign.ramp_from + p_campaign.ramp_step::numeric * pgdial.ramp_steps(p_campaign, p_now), 999999999)::int;
end $$;

-- ramp_steps: how often its cap has grown.
create or replace function pgdial.ramp_steps(p_campaign pgdial.campaigns, p_now timestamptz) returns int
language plpgsql stable
as $$
begin
    return greatest(0, floor(extract(epoch from p_now - pgdial.ramps_since(p_campaign)) / extract(epoch from p_campaign.ramp_every)))::int;
end $$;

-- ramps_since: when its ramp began.
create or replace function pgdial.ramps_since(p_campaign pgdial.campaigns) returns timestamptz
language sql immutable
as $$ select coalesce(greatest(p_campaign.resumed_at, p_campaign.starts_at), p_campaign.created_at) $$;

-- next_step: when its cap grows next; null: it does not.
create or replace function pgdial.next_step(p_campaign pgdial.campaigns, p_now timestamptz) returns timestamptz
language plpgsql stable
as $$
begin
    if p_campaign.ramp_from is null or pgdial.present_cap(p_campaign, p_now) >= coalesce(p_campaign.cap, 999999999) then
        return null;
    end if;
    return pgdial.ramps_since(p_campaign) + p_campaign.ramp_every * (pgdial.ramp_steps(p_campaign, p_now) + 1);
end $$;

-- note_endings: keep how these attempts ended, for campaigns that are judged by it.
-- Index: primary keys.
create or replace function pgdial.note_endings(p_endings pgdial.ending[], p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set jit = off
as $$
begin
    if not exists (select from pgdial.campaigns g where g.goal_count is not null or g.budget is not null or g.answer_guard_last is not null) then
        return;
    end if;
    insert into pgdial.campaign_endings as n (call_id, claim_no, campaign, at, outcome, disposition, cost)
    select e.id, e.claim_no, c.campaign, p_now, e.outcome, e.disposition, pgdial.cost_of(e.result)
    from unnest(p_endings) e
         join pgdial.calls c on c.id = e.id
         join pgdial.campaigns g on g.name = c.campaign
    where g.goal_count is not null or g.budget is not null or g.answer_guard_last is not null
    on conflict (call_id, claim_no) do update
        set outcome = excluded.outcome, disposition = coalesce(excluded.disposition, n.disposition), cost = coalesce(excluded.cost, n.cost);
end $$;

-- note_cost: what an attempt cost, reported after its end.
create or replace function pgdial.note_cost(p_id uuid, p_claim_no bigint, p_result jsonb) returns void
language plpgsql volatile
as $$
begin
    update pgdial.campaign_endings n set cost = coalesce(pgdial.cost_of(p_result), n.cost)
    where n.call_id = p_id and n.claim_no = p_claim_no;
end $$;

-- note_disposition: what an attempt came to, reported after its end.
create or replace function pgdial.note_disposition(p_id uuid, p_claim_no bigint, p_disposition text) returns void
language plpgsql volatile
as $$
begin
    update pgdial.campaign_endings n set disposition = p_disposition where n.call_id = p_id and n.claim_no = p_claim_no;
end $$;

-- cost_of: the cost in a result, in the platform's currency; null: none that is a number.
create or replace function pgdial.cost_of(p_result jsonb) returns numeric
language plpgsql immutable
as $$
begin
    return case when jsonb_typeof(p_result -> 'cost') = 'number' then greatest(0, least((p_result ->> 'cost')::numeric, 1000000000)) end;
end $$;

-- sweep_goals: pause the campaigns that have reached something; how many. At most every ten seconds in each session.
create or replace function pgdial.sweep_goals(p_now timestamptz) returns int
language plpgsql volatile
as $$
declare
    v_last constant timestamptz := nullif(current_setting('pgdial.goals_judged', true), '')::timestamptz;
    v_campaign text;
    v_n int := 0;
begin
    -- Ignored if it is in the future: the clock has gone back.
    if v_last > p_now - '10 seconds'::interval and v_last <= p_now then
        return 0;
    end if;
    perform set_config('pgdial.goals_judged', p_now::text, false);
    for v_campaign in
        select g.name from pgdial.campaigns g
        where not g.paused and (g.goal_count is not null or g.budget is not null or g.answer_guard_last is not null)
        order by g.name
    loop
        v_n := v_n + pgdial.judge_goals(v_campaign, p_now)::int;
    end loop;
    return v_n;
end $$;

-- judge_goals: pause this campaign if it has reached its goal, spent its budget, or is answered too rarely. True: it
-- was paused.
create or replace function pgdial.judge_goals(p_campaign text, p_now timestamptz) returns boolean
language plpgsql volatile
as $$
declare
    v_campaign pgdial.campaigns;
    v_why text;
begin
    select g.* into v_campaign from pgdial.campaigns g where g.name = p_campaign and not g.paused;
    if not found then
        return false;
    end if;
    v_why := coalesce(pgdial.goal_in_words(v_campaign), pgdial.budget_in_words(v_campaign), pgdial.rate_in_words(v_campaign));
    if v_why is null then
        return false;
    end if;
    perform pgdial.pause_campaign_for(p_campaign, v_why, '{}', p_now);
    return true;
end $$;

-- goal_in_words: that it has reached its goal; null: it has not. Counts no further than the goal.
-- Index: campaign_endings_reached, campaign_endings_disposed.
create or replace function pgdial.goal_in_words(p_campaign pgdial.campaigns) returns text
language plpgsql stable
as $$
declare
    v_reached bigint;
begin
    if p_campaign.goal_count is null then
        return null;
    elsif p_campaign.goal_outcome is not null then
        v_reached := (
            select count(*) from (
                select from pgdial.campaign_endings n
                where n.campaign = p_campaign.name and n.outcome = p_campaign.goal_outcome::pgdial.outcome limit p_campaign.goal_count) r);
    else
        v_reached := (
            select count(*) from (
                select from pgdial.campaign_endings n
                where n.campaign = p_campaign.name and n.disposition = p_campaign.goal_disposition limit p_campaign.goal_count) r);
    end if;
    return case when v_reached >= p_campaign.goal_count then format('goal_reached: %s calls %s %s; raise the goal to go on',
        p_campaign.goal_count, case when p_campaign.goal_outcome is not null then 'ended as' else 'came to' end,
        coalesce(p_campaign.goal_outcome, p_campaign.goal_disposition)) end;
end $$;

-- budget_in_words: that its budget is spent; null: it is not.
-- Index: campaign_endings_reached, alone.
create or replace function pgdial.budget_in_words(p_campaign pgdial.campaigns) returns text
language plpgsql stable
as $$
declare
    v_cost numeric;
    v_unknown bigint;
begin
    if p_campaign.budget is null then
        return null;
    end if;
    select coalesce(sum(n.cost), 0), count(*) filter (where n.cost is null) into v_cost, v_unknown
    from pgdial.campaign_endings n where n.campaign = p_campaign.name;
    return case when v_cost >= p_campaign.budget then format(
        'budget_spent: its calls have cost %s of %s%s; raise the budget to go on', trim_scale(round(v_cost, 4)), trim_scale(p_campaign.budget),
        case when v_unknown > 0 then format(', and %s more attempts came without a cost', v_unknown) else '' end) end;
end $$;

-- rate_in_words: that too few of its latest attempts were answered; null: enough, or not so many since it was resumed.
-- Attempts that could not ring are left out.
-- Index: campaign_endings_latest.
create or replace function pgdial.rate_in_words(p_campaign pgdial.campaigns) returns text
language plpgsql stable
as $$
declare
    v_attempts bigint;
    v_answered bigint;
begin
    if p_campaign.answer_guard_last is null then
        return null;
    end if;
    select count(*), count(*) filter (where r.outcome = 'answered') into v_attempts, v_answered
    from (select n.outcome from pgdial.campaign_endings n
          where n.campaign = p_campaign.name and n.at > coalesce(p_campaign.resumed_at, '-infinity')
            and n.outcome not in ('canceled', 'capacity', 'account', 'blocked', 'provider_fault')
          order by n.at desc limit p_campaign.answer_guard_last) r;
    return case when v_attempts >= p_campaign.answer_guard_last and v_answered < v_attempts * p_campaign.answer_guard_below then format(
        'answer_rate: %s of the latest %s attempts were answered, fewer than %s %%', v_answered, v_attempts,
        trim_scale(round(p_campaign.answer_guard_below * 100, 4))) end;
end $$;
