-- archive, unarchive, delete_group: put a campaign or a trunk out of sight, bring it back, or remove it for good.
-- archive: it stays in reports and is left out of lists; it is paused, cannot be resumed, and no call is enqueued in it.
-- Refused (in_use) while a call of it waits or is in flight, and of a trunk while a campaign that is not archived dials
-- on it.
-- unarchive: it is in the lists again, and paused.
-- delete_group: only what never had a call; of a trunk, that no campaign and no caller id names.
-- p_kind: campaign or trunk. p_by, p_why: for the audit (acts).
-- Returns archived, unarchived or deleted; not_found; or in_use, and by what.
--   select * from pgdial.archive('campaign', 'spring-2025', 'it is over');
--   select * from pgdial.unarchive('campaign', 'spring-2025');
--   select * from pgdial.delete_group('trunk', 'typo', 'never used');
-- Races: an enqueue that is under way may add a call to a campaign after it was judged: that call waits, and why says
-- that its campaign is paused.
create or replace function pgdial.archive(
    p_kind text, p_name text, p_why text, p_by text default session_user, out verdict text, out used_by text[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    verdict := case when pgdial.lock_group(p_kind, p_name) then 'archived' else 'not_found' end;
    used_by := pgdial.present_use(p_kind, p_name);
    if p_name = 'default' then
        used_by := used_by || 'what names no other'::text;
    end if;
    if verdict = 'archived' and used_by <> '{}' then
        verdict := 'in_use';
    elsif p_kind = 'campaign' then
        update pgdial.campaigns set archived_at = pgdial.now(), paused = true, paused_by = p_by, paused_why = 'archived: ' || p_why
        where name = p_name and archived_at is null;
    else
        update pgdial.trunks set archived_at = pgdial.now(), paused = true, paused_by = p_by, paused_why = 'archived: ' || p_why
        where name = p_name and archived_at is null;
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
end $$;

create or replace function pgdial.unarchive(
    p_kind text, p_name text, p_why text default null, p_by text default session_user, out verdict text, out used_by text[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    verdict := case when pgdial.lock_group(p_kind, p_name) then 'unarchived' else 'not_found' end;
    used_by := '{}';
    if p_kind = 'campaign' then
        used_by := array(select 'the archived trunk ' || t.name from pgdial.campaigns g join pgdial.trunks t on t.name = g.trunk
                         where g.name = p_name and t.archived_at is not null);
        update pgdial.campaigns set archived_at = null where name = p_name and used_by = '{}';
    else
        update pgdial.trunks set archived_at = null where name = p_name;
    end if;
    if used_by <> '{}' then
        verdict := 'in_use';
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
end $$;

create or replace function pgdial.delete_group(
    p_kind text, p_name text, p_why text default null, p_by text default session_user, out verdict text, out used_by text[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    verdict := case when pgdial.lock_group(p_kind, p_name) then 'deleted' else 'not_found' end;
    used_by := pgdial.present_use(p_kind, p_name) || case
        when p_name = 'default' then 'what names no other'
        when p_kind = 'campaign' and exists (select from pgdial.calls c where c.ended_at is not null and c.campaign = p_name)
            or p_kind = 'trunk' and exists (select from pgdial.calls c where c.trunk = p_name and c.provider_call_id is not null)
            then 'finished calls'
        when p_kind = 'trunk' and exists (select from pgdial.campaigns g where g.trunk = p_name and g.archived_at is not null)
            then 'archived campaigns'
        when p_kind = 'trunk' and exists (select from pgdial.caller_ids k where k.trunk = p_name) then 'caller ids' end::text;
    used_by := array_remove(used_by, null);
    if verdict = 'deleted' and used_by <> '{}' then
        verdict := 'in_use';
    elsif p_kind = 'campaign' then
        delete from pgdial.campaigns where name = p_name;
    else
        delete from pgdial.trunks where name = p_name;
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
end $$;

-- lock_group: lock a campaign or a trunk; whether it exists.
create or replace function pgdial.lock_group(p_kind text, p_name text) returns boolean
language plpgsql volatile
as $$
begin
    case p_kind
        when 'campaign' then perform from pgdial.campaigns g where g.name = p_name for update;
        when 'trunk' then perform from pgdial.trunks t where t.name = p_name for update;
        else raise exception '"%" is neither campaign nor trunk', p_kind using errcode = 'invalid_parameter_value';
    end case;
    return found;
end $$;

-- present_use: what keeps a campaign or a trunk from being put out of sight, in words.
-- Index: calls_claimable; calls_in_flight as a whole, which is short.
create or replace function pgdial.present_use(p_kind text, p_name text) returns text[]
language plpgsql stable
as $$
begin
    return array_remove(array[
        case when p_kind = 'campaign' and exists (select from pgdial.calls c where c.state = 'waiting' and c.campaign = p_name)
             then 'waiting calls' end,
        case when exists (select from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call')
                          and p_name = case p_kind when 'campaign' then c.campaign else c.trunk end)
             then 'calls in flight' end], null)
        || case when p_kind = 'trunk' then array(select 'campaign ' || g.name from pgdial.campaigns g
                                                 where g.trunk = p_name and g.archived_at is null order by g.name limit 5)
                else '{}' end;
end $$;
