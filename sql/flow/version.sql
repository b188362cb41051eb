-- version_of: a text that changes whenever a call (its id), a campaign, a trunk or an endpoint (its name) does; null:
-- there is none. What is only counted, such as calls in flight, is no change.
--   select pgdial.version_of('campaign', 'default');
create or replace function pgdial.version_of(p_kind text, p_name text) returns text
language plpgsql stable
as $$
begin
    return case p_kind
        when 'call' then (select c.xmin::text from pgdial.calls c where c.id = p_name::uuid)
        when 'campaign' then (select g.xmin::text from pgdial.campaigns g where g.name = p_name)
        when 'trunk' then (select t.xmin::text from pgdial.trunks t where t.name = p_name)
        when 'endpoint' then (select e.xmin::text from pgdial.endpoints e where e.name = p_name) end;
end $$;

-- set_if_unchanged: change a campaign, a trunk or an endpoint as set_campaign, set_trunk and set_endpoint do, if it has
-- one of these versions still. Returns set, changed (by somebody else meanwhile) or not_found.
--   select pgdial.set_if_unchanged('campaign', 'default', array[pgdial.version_of('campaign', 'default')], '{"cap": 20}');
create or replace function pgdial.set_if_unchanged(
    p_kind text, p_name text, p_versions text[], p_changes jsonb, p_why text default null, p_by text default session_user
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_version text;
begin
    if p_kind = 'endpoint' then
        perform from pgdial.endpoints e where e.name = p_name for no key update;
    else
        perform pgdial.lock_group(p_kind, p_name);
    end if;
    v_version := pgdial.version_of(p_kind, p_name);
    if v_version is null then
        return 'not_found';
    elsif v_version <> all (p_versions) then
        return 'changed';
    end if;
    perform case p_kind when 'campaign' then pgdial.set_campaign(p_name, p_changes, p_why, p_by)
                        when 'trunk' then pgdial.set_trunk(p_name, p_changes, p_why, p_by)
                        else pgdial.set_endpoint(p_name, p_changes, p_why, p_by) end;
    return 'set';
end $$;
