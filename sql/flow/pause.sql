-- pause, resume: stop and start the dialing of a campaign or a trunk, or the deliveries to an endpoint, recording who
-- and why. Calls in flight are left alone. The switch is the column `paused`, so a plain UPDATE does the same: one
-- trigger keeps the columns beside it consistent, another writes the audit (acts).
-- Returns whether it exists.
--   select pgdial.pause('campaign', 'default', 'the script is wrong');
--   select pgdial.resume('trunk', 'default');
create or replace function pgdial.pause(p_kind text, p_name text, p_why text, p_by text default session_user)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    case p_kind
        when 'campaign' then
            update pgdial.campaigns set paused = true, paused_at = pgdial.now(), paused_by = p_by, paused_why = p_why
            where name = p_name;
        when 'trunk' then
            update pgdial.trunks set paused = true, paused_at = pgdial.now(), paused_by = p_by, paused_why = p_why
            where name = p_name;
        when 'endpoint' then
            update pgdial.endpoints set paused = true, paused_at = pgdial.now(), paused_by = p_by, paused_why = p_why
            where name = p_name;
        else
            raise exception 'pgdial.pause: "%" is neither campaign, trunk nor endpoint', p_kind;
    end case;
    return found;
end $$;

create or replace function pgdial.resume(
    p_kind text, p_name text, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_found boolean;
begin
    case p_kind
        when 'campaign' then update pgdial.campaigns set paused = false where name = p_name;
        when 'trunk' then update pgdial.trunks set paused = false where name = p_name;
        when 'endpoint' then update pgdial.endpoints set paused = false where name = p_name;
        else raise exception 'pgdial.resume: "%" is neither campaign, trunk nor endpoint', p_kind;
    end case;
    v_found := found;
    if p_kind = 'campaign' then
        perform pgdial.judge_goals(p_name, pgdial.now());    -- before anything is dialled
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_found;
end $$;

-- stamp_pause: keeps the columns beside paused consistent, whoever sets it.
create or replace function pgdial.stamp_pause() returns trigger
language plpgsql
as $$
begin
    if not new.paused and to_jsonb(new) ->> 'archived_at' is not null then
        raise exception '% "%" is archived: unarchive it first', rtrim(tg_table_name, 's'), to_jsonb(new) ->> 'name'
            using errcode = 'check_violation';
    end if;
    if tg_op = 'UPDATE' and old.paused and not new.paused then
        new.resumed_at := pgdial.now();     -- what providers said before no longer counts
    end if;
    if not new.paused then
        new.paused_at := null; new.paused_by := null; new.paused_why := null;
    elsif new.paused_at is null then
        new.paused_at := pgdial.now();
        new.paused_by := coalesce(new.paused_by, session_user);
    end if;
    return new;
end $$;

create or replace trigger stamp_pause before insert or update on pgdial.trunks
    for each row execute function pgdial.stamp_pause();
create or replace trigger stamp_pause before insert or update on pgdial.campaigns
    for each row execute function pgdial.stamp_pause();
create or replace trigger stamp_pause before insert or update on pgdial.caller_ids
    for each row execute function pgdial.stamp_pause();
create or replace trigger stamp_pause before insert or update on pgdial.endpoints
    for each row execute function pgdial.stamp_pause();

-- Deleting or renaming a group that calls name would leave them waiting for ever, or in flight outside any cap.
create or replace function pgdial.keep_used_group() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'UPDATE' and new.name = old.name then
        return new;
    end if;
    if exists (select from pgdial.calls c
               where c.state in ('waiting', 'dialing', 'unresolved', 'in_call')
                 and old.name = case tg_table_name when 'campaigns' then c.campaign else c.trunk end) then
        raise exception '% "%" still has calls: pause it, or cancel them first',
            rtrim(tg_table_name, 's'), old.name using errcode = 'foreign_key_violation';
    end if;
    if tg_table_name = 'trunks' then
        delete from pgdial.trunk_pace p where p.trunk = old.name;
    else
        delete from pgdial.campaign_trust t where t.campaign = old.name;
        delete from pgdial.campaign_endings n where n.campaign = old.name;
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;

-- agree_with_claims: the same check again at commit, behind the gate: a claim that was under way at the first
-- check has ended by then, and the next one sees the group gone. Not earlier: a person's transaction may stay
-- open for long, and must not hold the gate meanwhile.
create or replace function pgdial.agree_with_claims() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'UPDATE' and new.name = old.name then
        return null;
    end if;
    if not pgdial.gate() then
        raise exception 'claims are under way: try again' using errcode = 'lock_not_available';
    end if;
    if exists (select from pgdial.calls c
               where c.state in ('dialing', 'unresolved', 'in_call')
                 and old.name = case tg_table_name when 'campaigns' then c.campaign else c.trunk end) then
        raise exception '% "%" still has calls: pause it, or cancel them first',
            rtrim(tg_table_name, 's'), old.name using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;

create or replace trigger keep_used_group before delete or update of name on pgdial.campaigns
    for each row execute function pgdial.keep_used_group();
create or replace trigger keep_used_group before delete or update of name on pgdial.trunks
    for each row execute function pgdial.keep_used_group();

do $$
begin
    -- A constraint trigger cannot be replaced.
    if not exists (select from pg_trigger t where t.tgname = 'agree_with_claims' and t.tgrelid = 'pgdial.trunks'::regclass) then
        create constraint trigger agree_with_claims after delete or update of name on pgdial.trunks
            deferrable initially deferred for each row execute function pgdial.agree_with_claims();
    end if;
end $$;
