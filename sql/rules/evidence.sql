-- The rule of evidence: a refusal speaks only about its call until refusals have spoken about several.
--
-- What providers say is kept in `answers`, in order. A *run* is everything since the last acceptance. A run of
-- a trunk over at least three numbers pauses the trunk (forbidden), holds it off (capacity) or opens its
-- breaker (fault); while the whole run comes from calls of one kind (the same campaign, script and requested number)
-- and others are due, those are tried first. A run of a campaign, for one reason, pauses the campaign. Until
-- then the call alone is put back, or its attempt ends.
-- Acceptances are recorded only while there is trouble near them; anything older than an hour, or than the last
-- resume, no longer counts.
-- Races: rows are only added, and old ones deleted with skip locked; if a person holds the row to be paused,
-- the pause is left to the next response. No verb waits here.
-- Index: answers_of_trunk, answers_of_campaign.

-- weigh: record a provider response other than an acceptance, and act on it.
-- p_kind: refused (this request, for good), forbidden (perhaps the account), capacity, fault.
-- p_retry_after: how long it asks us to wait. p_concerns: what a refusal is about; a pause says so. True: the breaker of its trunk is open.
create or replace function pgdial.weigh(
    p_call pgdial.calls, p_kind text, p_why text, p_retry_after interval, p_now timestamptz, p_concerns text default null
) returns boolean
language plpgsql volatile
as $$
declare
    v_reason constant text := left(coalesce(p_why, 'no words'), 200);
    v_open boolean := false;
begin
    -- An acceptance that was taken back does not count.
    delete from pgdial.answers a
    where a.seq in (select s.seq from pgdial.answers s
                    where s.campaign = p_call.campaign and s.call_id = p_call.id and s.kind = 'accepted'
                    for update skip locked);
    insert into pgdial.answers (at, trunk, campaign, script_id, from_number, caller_id, call_id, number, kind, reason, concerns)
    values (p_now, p_call.trunk, p_call.campaign, p_call.script_id, coalesce(p_call.from_number, ''), coalesce(p_call.caller_id, ''),
            p_call.id, hashtext(p_call.phone), p_kind, v_reason, p_concerns);
    case p_kind
        when 'forbidden' then
            if pgdial.speaks_of_trunk(p_call.trunk, p_kind, p_now) then
                perform pgdial.pause_trunk_for(p_call.trunk, v_reason, pgdial.run_of_trunk(p_call.trunk, p_kind, p_now), p_now);
            end if;
        when 'capacity' then
            if pgdial.speaks_of_trunk(p_call.trunk, p_kind, p_now) then
                perform pgdial.breaker_hold_off(p_call.trunk, p_retry_after, p_now);
            end if;
        when 'fault' then
            v_open := pgdial.breaker_fault(p_call.trunk, v_reason,
                pgdial.speaks_of_trunk(p_call.trunk, p_kind, p_now), p_now);
        else null;
    end case;
    if p_concerns = 'caller_id' and p_call.caller_id is not null then
        perform pgdial.guard_caller_id(p_call.caller_id, p_call.trunk, v_reason, p_now);
    end if;
    perform pgdial.guard_campaign(p_call.campaign, p_call.trunk, p_now);
    perform pgdial.forget_answers(p_call.campaign, p_now);
    return v_open;
end $$;

-- accepted: record that providers have accepted these calls. True: a campaign may dial more now than before.
-- p_campaigns, p_trunks: theirs.
create or replace function pgdial.accepted(p_ids uuid[], p_campaigns text[], p_trunks text[], p_now timestamptz) returns boolean
language plpgsql volatile
as $$
declare
    v_opened boolean := false;
    v_stale text[];
begin
    select coalesce(bool_or(t.accepted_at is null or not pgdial.is_trusted(t.accepted_at, g.resumed_at, p_now)), false),
           array_agg(g.name)
    into v_opened, v_stale
    from pgdial.campaigns g left join pgdial.campaign_trust t on t.campaign = g.name
    where g.name = any (p_campaigns)
      and (t.accepted_at is null or t.accepted_at not between greatest(g.resumed_at, p_now - '10 seconds'::interval) and p_now);
    if v_stale is not null then
        insert into pgdial.campaign_trust (campaign, accepted_at)
        select s, p_now from unnest(v_stale) s order by s on conflict do nothing;
        update pgdial.campaign_trust t set accepted_at = p_now
        where t.campaign in (select s.campaign from pgdial.campaign_trust s
                             where s.campaign = any (v_stale) and s.accepted_at <> p_now for no key update skip locked);
    end if;
    if exists (select from pgdial.answers a where a.trunk = any (p_trunks)) then
        with noted as (
            insert into pgdial.answers (at, trunk, campaign, script_id, from_number, caller_id, call_id, number, kind)
            select p_now, c.trunk, c.campaign, c.script_id, coalesce(c.from_number, ''), coalesce(c.caller_id, ''), c.id, hashtext(c.phone), 'accepted'
            from pgdial.calls c where c.id = any (p_ids) and c.trunk is not null and pgdial.is_news(c, p_now)
            returning campaign
        )
        select v_opened or coalesce(bool_or(true), false) into v_opened from noted;
        perform pgdial.forget_answers(g, p_now) from (select distinct u as g from unnest(p_campaigns) u) d;
    end if;
    return v_opened;
end $$;

-- is_news: does the acceptance of this call matter to a run, or to a window?
create or replace function pgdial.is_news(p_call pgdial.calls, p_now timestamptz) returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select from pgdial.answers b
        where b.trunk = p_call.trunk and b.kind not in ('accepted', 'works')
          and (b.at > p_now - '2 minutes'::interval or b.seq > coalesce((
                   select max(a.seq) from pgdial.answers a
                   where a.campaign = p_call.campaign and a.kind = 'accepted' and a.script_id = p_call.script_id
                     and a.from_number = coalesce(p_call.from_number, '') and a.caller_id = coalesce(p_call.caller_id, '')), 0)));
end $$;

-- is_trusted: was a call of the campaign accepted recently? Then its next ones need no trial.
create or replace function pgdial.is_trusted(p_accepted_at timestamptz, p_resumed_at timestamptz, p_now timestamptz) returns boolean
language sql stable
as $$ select coalesce(p_accepted_at between p_now - '30 seconds'::interval and p_now
                      and (p_resumed_at is null or p_accepted_at >= p_resumed_at), false) $$;

-- works: these trunks gave a meaningful response, even if a refusal: a run of faults ends.
create or replace function pgdial.works(p_trunks text[], p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    insert into pgdial.answers (at, trunk, campaign, script_id, from_number, caller_id, call_id, number, kind)
    select p_now, l.trunk, l.campaign, l.script_id, l.from_number, l.caller_id, l.call_id, l.number, 'works'
    from unnest(p_trunks) t
         cross join lateral (select a.* from pgdial.answers a where a.trunk = t order by a.seq desc limit 1) l
    where l.kind = 'fault';
end $$;

-- run_of_trunk: the responses of this kind since its provider last accepted a call; of faults, since its last
-- meaningful response.
create or replace function pgdial.run_of_trunk(p_trunk text, p_kind text, p_now timestamptz) returns pgdial.answers[]
language plpgsql stable
as $$
begin
    return array(
        select a from pgdial.answers a
        where a.trunk = p_trunk and a.kind = p_kind
          and a.at > greatest(p_now - '1 hour'::interval, (select t.resumed_at from pgdial.trunks t where t.name = p_trunk))
          and a.seq > coalesce((
              select max(o.seq) from pgdial.answers o
              where o.trunk = p_trunk and (o.kind = 'accepted' or p_kind = 'fault' and o.kind in ('works', 'refused'))), 0)
        order by a.seq);
end $$;

-- speaks_of_trunk: is the run of this kind evidence about the whole trunk? At least three numbers. While the
-- whole run comes from one campaign, and different calls are due, those are tried before concluding; but not
-- for ever.
create or replace function pgdial.speaks_of_trunk(p_trunk text, p_kind text, p_now timestamptz) returns boolean
language plpgsql stable
as $$
declare
    v_run constant pgdial.answers[] := pgdial.run_of_trunk(p_trunk, p_kind, p_now);
    v_numbers constant int := (select count(distinct r.number) from unnest(v_run) r);
begin
    return v_numbers >= 3 and (v_numbers >= 20 or not pgdial.others_are_due(p_trunk, v_run, p_now));
end $$;

-- others_are_due: may calls of another kind than those of this run be dialled on the trunk now? Of a run
-- over two campaigns, or three scripts, this is no longer asked.
create or replace function pgdial.others_are_due(p_trunk text, p_run pgdial.answers[], p_now timestamptz) returns boolean
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_campaign constant text := p_run[1].campaign;
begin
    if exists (select from unnest(p_run) r where r.campaign <> v_campaign)
       or (select count(distinct (r.script_id, r.from_number)) from unnest(p_run) r) >= 3 then
        return false;
    end if;
    return exists (
        select from pgdial.campaigns g cross join generate_series(0, 9) q
        where g.trunk = p_trunk and g.name <> v_campaign and not g.paused
          and (select c.id from pgdial.calls c
               where c.state = 'waiting' and c.campaign = g.name and c.priority = q::smallint and c.run_at <= p_now limit 1) is not null
    ) or exists (
        select from generate_series(0, 9) q
             cross join lateral (
                 select c.script_id, c.from_number from pgdial.calls c
                 where c.state = 'waiting' and c.campaign = v_campaign and c.priority = q::smallint and c.run_at <= p_now
                 order by c.run_at, c.id limit 1000) d
        where not exists (select from unnest(p_run) r
                          where r.script_id = d.script_id and r.from_number = coalesce(d.from_number, '')));
end $$;

-- guard_campaign: pauses the campaign when its latest `guard` dials were refused or failed in a row for one reason, or
-- more than `guard` of the latest 2 * `guard` within two minutes; also when three numbers in a row are
-- forbidden while its trunk accepts others. Faults are evidence about the campaign only if the provider
-- accepted other calls after half of them, or an outage would pause every campaign; lack of capacity is never
-- evidence.
create or replace function pgdial.guard_campaign(p_campaign text, p_trunk text, p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_guard int;
    v_since timestamptz;
    v_heard pgdial.answers[];
    v_run pgdial.answers[];
    v_accepted bigint;      -- seq of the latest acceptance on the trunk
    v_cause record;
begin
    select g.guard, greatest(g.resumed_at, p_now - '1 hour'::interval) into v_guard, v_since
    from pgdial.campaigns g where g.name = p_campaign and not g.paused;
    if v_guard is null then
        return;
    end if;
    v_run := pgdial.run_of_campaign(p_campaign, v_since);
    v_heard := array(select a from pgdial.answers a
                     where a.campaign = p_campaign and a.at > v_since and a.kind not in ('capacity', 'works')
                     order by a.seq desc limit 2 * v_guard);
    v_accepted := (select max(a.seq) from pgdial.answers a where a.trunk = p_trunk and a.kind = 'accepted');
    select c.* into v_cause
    from (
        select pgdial.bare_reason(r.kind, r.reason) as bare, r.kind, true as in_a_row, cardinality(v_run) as of,
               count(*) as n, count(distinct r.number) as numbers, min(r.seq) as first,
               (array_agg(r.seq order by r.seq))[(count(*) + 1) / 2] as middle, max(r.reason) as reason,
               case when count(distinct r.script_id) = 1 then min(r.script_id) end as script_id,
               case when count(distinct r.caller_id) = 1 then min(r.caller_id) end as caller_id,
               case when count(distinct coalesce(r.concerns, '')) = 1 then min(r.concerns) end as concerns,
               array_agg(r.call_id order by r.seq) as calls
        from unnest(v_run) r group by 1, 2
        union all
        select pgdial.bare_reason(h.kind, h.reason), h.kind, false, cardinality(v_heard),
               count(*), count(distinct h.number), min(h.seq),
               (array_agg(h.seq order by h.seq))[(count(*) + 1) / 2], max(h.reason),
               case when count(distinct h.script_id) = 1 then min(h.script_id) end,
               case when count(distinct h.caller_id) = 1 then min(h.caller_id) end,
               case when count(distinct coalesce(h.concerns, '')) = 1 then min(h.concerns) end,
               array_agg(h.call_id order by h.seq)
        from unnest(v_heard) h
        where h.kind <> 'accepted' and h.at > p_now - '2 minutes'::interval
          -- Similar calls were accepted since: then the provider fails intermittently.
          and (h.kind <> 'fault' or not exists (
                   select from unnest(v_heard) o where o.kind = 'accepted' and o.seq > h.seq
                   and o.script_id = h.script_id and o.from_number = h.from_number))
        group by 1, 2
    ) c
    where c.numbers >= least(3, v_guard) and (c.kind <> 'fault' or v_accepted > c.middle)
      and case when c.in_a_row
               then c.n = c.of and (c.n >= v_guard or c.kind = 'forbidden' and c.n >= 3 and v_accepted > c.first)
               else c.n > v_guard end
    order by c.n desc limit 1;
    if found then
        perform pgdial.pause_campaign_for(p_campaign, format('%s%s of its latest %s dials %s: %s%s',
            pgdial.refused_thing(v_cause.concerns, v_cause.script_id, v_cause.caller_id), v_cause.n, v_cause.of,
            pgdial.turned_down(array[v_cause.kind]), v_cause.reason,
            case when v_cause.concerns is distinct from 'script' then ' (script ' || v_cause.script_id || ')' end), v_cause.calls, p_now);
    end if;
end $$;

-- turned_down: what dials with responses of these kinds came to, in words. A fault refuses nobody: the provider failed,
-- or gave no response, and whether the dial was placed may not be known.
create or replace function pgdial.turned_down(p_kinds text[]) returns text
language sql immutable
as $$
    select case when p_kinds <@ '{fault}' then 'failed' when 'fault' = any (p_kinds) then 'failed or were refused'
                else 'were refused' end
$$;

-- explained: a person says that this dial was placed: the fault that left it in doubt is evidence of nothing.
create or replace function pgdial.explained(p_call pgdial.calls) returns void
language plpgsql volatile
as $$
begin
    delete from pgdial.answers a
    where a.seq in (select s.seq from pgdial.answers s
                    where s.campaign = p_call.campaign and s.call_id = p_call.id and s.kind = 'fault'
                    for update skip locked);
end $$;

-- refused_thing: what all of several refusals are about, at the beginning of a pause's words; '' if they do not say, or
-- differ.
create or replace function pgdial.refused_thing(p_concerns text, p_script_id text, p_caller_id text) returns text
language plpgsql immutable
as $$
begin
    return coalesce('the provider refuses ' || case p_concerns
        when 'script' then 'script ' || p_script_id
        when 'caller_id' then 'to call from ' || case p_caller_id when '' then 'the trunk''s own number' else pgdial.masked(p_caller_id) end
        end || ': ', '');
end $$;

-- run_of_campaign: the responses since a call of it was last accepted; capacity is ignored.
create or replace function pgdial.run_of_campaign(p_campaign text, p_since timestamptz) returns pgdial.answers[]
language plpgsql stable
as $$
begin
    return array(
        select a from pgdial.answers a
        where a.campaign = p_campaign and a.at > p_since and a.kind in ('refused', 'forbidden', 'fault')
          and a.seq > coalesce((select max(o.seq) from pgdial.answers o
                                where o.campaign = p_campaign and o.kind = 'accepted'), 0)
        order by a.seq);
end $$;

-- bare_reason: the reason without what differs from request to request: numbers and ids.
create or replace function pgdial.bare_reason(p_kind text, p_reason text) returns text
language sql immutable
as $$
    select p_kind || ' ' || left(p_reason, 8)
           || regexp_replace(lower(substr(p_reason, 9)), '[0-9a-z_-]*[0-9*][0-9a-z_*-]*', '#', 'g')
$$;

-- suspects: calls like these were refused or failed over three numbers in a row, with none accepted: a claim takes
-- others first, and these one at a time.
create or replace function pgdial.suspects(p_now timestamptz) returns pgdial.suspect[]
language plpgsql stable
as $$
begin
    return array(
        select row(a.campaign, a.script_id, a.from_number, array_agg(distinct a.kind))::pgdial.suspect
        from pgdial.answers a
             join pgdial.campaigns g on g.name = a.campaign
             left join (select o.campaign, o.script_id, o.from_number, max(o.seq) as seq
                        from pgdial.answers o where o.kind = 'accepted' group by 1, 2, 3) k
                 on k.campaign = a.campaign and k.script_id = a.script_id and k.from_number = a.from_number
        where a.kind not in ('accepted', 'works') and a.seq > coalesce(k.seq, 0)
          and a.at > greatest(g.resumed_at, p_now - '1 hour'::interval)
        group by a.campaign, a.script_id, a.from_number
        having count(distinct a.number) >= 3);
end $$;

-- tried: the calls that opened an open breaker or have probed it: others probe first.
create or replace function pgdial.tried(p_now timestamptz) returns uuid[]
language plpgsql stable
as $$
begin
    return array(
        select distinct a.call_id from pgdial.trunk_breaker b join pgdial.answers a on a.trunk = b.trunk
        where b.opened_at is not null and a.kind = 'fault' and a.at > p_now - '1 hour'::interval);
end $$;

-- forget_answers: delete what no longer decides anything: older than an hour, or further back, among similar
-- calls, than the guard looks. A campaign keeps at most 500 in all, however many scripts it has.
create or replace function pgdial.forget_answers(p_campaign text, p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_kept constant int := greatest(20, 2 * (select g.guard from pgdial.campaigns g where g.name = p_campaign));
    v_gone constant bigint[] := array(
        select r.seq
        from (select a.seq, a.at, row_number() over (partition by a.script_id, a.from_number order by a.seq desc) as of_kind,
                     row_number() over (order by a.seq desc) as of_all
              from pgdial.answers a where a.campaign = p_campaign) r
        where r.at <= p_now - '1 hour'::interval or r.of_kind > v_kept or r.of_all > 500);
begin
    if cardinality(v_gone) > 0 then
        delete from pgdial.answers a
        where a.seq in (select s.seq from pgdial.answers s where s.seq = any (v_gone) for update skip locked);
    end if;
end $$;

-- pause_trunk_for: a trunk whose account is refused pauses itself, with the reason and the calls that showed
-- it. It does not wait: if a person holds the row, the next refusal pauses it.
create or replace function pgdial.pause_trunk_for(p_trunk text, p_why text, p_run pgdial.answers[], p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_calls constant uuid[] := array(select r.call_id from unnest(p_run) r order by r.seq);
    v_before constant text := pgdial.act_about(v_calls);
begin
    update pgdial.trunks t
    set paused = true, paused_at = p_now, paused_by = 'pgdial',
        paused_why = 'the provider refuses the account: ' || coalesce(p_why, 'no words') || pgdial.in_words(v_calls)
    where t.name = (select s.name from pgdial.trunks s where s.name = p_trunk and not s.paused
                    for no key update skip locked);
    perform set_config('pgdial.about', v_before, true);
end $$;

-- pause_campaign_for: the same for a campaign.
create or replace function pgdial.pause_campaign_for(p_campaign text, p_why text, p_calls uuid[], p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_before constant text := pgdial.act_about(p_calls);
begin
    update pgdial.campaigns g
    set paused = true, paused_at = p_now, paused_by = 'pgdial', paused_why = p_why || pgdial.in_words(p_calls)
    where g.name = (select s.name from pgdial.campaigns s where s.name = p_campaign and not s.paused
                    for no key update skip locked);
    perform set_config('pgdial.about', v_before, true);
end $$;

-- in_words: the latest three of these calls.
create or replace function pgdial.in_words(p_calls uuid[]) returns text
language sql stable
as $$
    select coalesce('; calls ' || string_agg(d.id::text, ', ' order by d.n), '')
    from (select c.id, max(c.n) as n from unnest(p_calls) with ordinality c (id, n) group by c.id order by 2 desc limit 3) d
$$;
