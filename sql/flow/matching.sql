-- cancel_matching, redrive_matching, resolve_matching, recheck_matching: cancel, redrive, resolve or recheck the calls
-- that a filter matches (its fields: pgdial.read_filter). One batch at a time: the next call takes the returned cursor. So no
-- transaction holds thousands of rows for long, and no call is visited twice in one run: neither one that was
-- refused, nor one that was redriven and has failed again meanwhile.
-- p_why: required, for the audit. p_limit: calls per batch, 1 to 10,000.
-- p_dry_run: only count, up to 100,000 calls, and report the verdicts they would get as things stand.
-- p_force (redrive): also completed calls, which do not match without it.
-- p_as (resolve): the outcome for all of them; matches calls in doubt unless the filter names other states in
-- flight, or failed: of these only calls that were given up as unknown.
-- Returns {dryRun, matched, verdicts: {verdict: count}, cursor}; the verdicts are those of cancel_many,
-- redrive_many and resolve_many. cursor null: that was all. A batch that changed something writes one act, and
-- one event per call.
-- Cost: bounded by the rows visited: for a cancel all waiting calls (of its campaign), once per batch;
-- otherwise 200,000, or 1,000,000 in a dry run. A batch may be empty and still have a cursor.
--   select pgdial.cancel_matching('{"campaign": "default", "state": "waiting"}', 'the offer is over', p_dry_run => true);
--   select pgdial.redrive_matching('{"state": "failed", "outcome": ["no_answer", "busy"]}', 'another round');
--   select pgdial.resolve_matching('{"campaign": "default"}', 'not_placed', 'their API was down');
--   select pgdial.recheck_matching('{"all": true}', 'the limit was raised');
-- Races: each call is judged again under its own lock; a locked one is counted as locked_out and left to the
-- next run.
create or replace function pgdial.cancel_matching(
    p_filter jsonb, p_why text, p_limit int default 1000, p_dry_run boolean default false,
    p_cursor text default null, p_by text default session_user
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_filter constant pgdial.call_filter := pgdial.read_filter(p_filter);
    v_found record;
    v_verdicts jsonb;
begin
    perform pgdial.check_batch(p_why, p_limit);
    select * into v_found from pgdial.batch_of(v_filter, 'live', p_cursor, p_limit, p_dry_run);
    if p_dry_run then
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select case when c.state::text = 'waiting' then 'canceled' else 'requested' end as verdict, count(*) as n
              from pgdial.calls c where c.id = any (v_found.ids) group by 1) v;
    else
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select c.verdict, count(*) as n
              from pgdial.cancel_many((select coalesce(jsonb_agg(jsonb_build_object('id', i, 'by', p_by, 'why', p_why)), '[]')
                                       from unnest(v_found.ids) i)) c group by 1) v;
        if v_verdicts ? 'requested' then
            perform pgdial.wake('sweep');
        end if;
    end if;
    return pgdial.end_batch('cancel', p_dry_run, p_filter, v_filter, v_found.ids, v_found.cursor, v_verdicts, p_by, p_why, '{}');
end $$;

create or replace function pgdial.redrive_matching(
    p_filter jsonb, p_why text, p_limit int default 1000, p_dry_run boolean default false,
    p_cursor text default null, p_force boolean default false, p_by text default session_user
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_filter pgdial.call_filter := pgdial.read_filter(p_filter);
    v_now constant timestamptz := pgdial.now();
    v_found record;
    v_verdicts jsonb;
begin
    perform pgdial.check_batch(p_why, p_limit);
    if not p_force and 'completed' = any (v_filter.states) then
        raise exception 'completed calls are redriven with "force" only: somebody has already spoken to us'
            using errcode = 'invalid_parameter_value';
    end if;
    if not p_force then
        v_filter.states := coalesce(v_filter.states, array['failed', 'canceled', 'expired', 'suppressed']);
    end if;
    select * into v_found from pgdial.batch_of(v_filter, 'over', p_cursor, p_limit, p_dry_run);
    if p_dry_run then
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select pgdial.redrive_verdict(c, p_force, v_now) as verdict, count(*) as n
              from pgdial.calls c where c.id = any (v_found.ids) group by 1) v;
    else
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select r.verdict, count(*) as n
              from pgdial.redrive_many((select coalesce(jsonb_agg(jsonb_build_object(
                        'id', i, 'by', p_by, 'why', p_why, 'force', p_force)), '[]')
                    from unnest(v_found.ids) i)) r group by 1) v;
        if v_verdicts ? 'waiting' then
            perform pgdial.wake('claim');
        end if;
    end if;
    return pgdial.end_batch('redrive', p_dry_run, p_filter, v_filter, v_found.ids, v_found.cursor, v_verdicts, p_by, p_why,
                            jsonb_build_object('force', nullif(p_force, false)));
end $$;

create or replace function pgdial.resolve_matching(
    p_filter jsonb, p_as text, p_why text, p_limit int default 1000, p_dry_run boolean default false,
    p_cursor text default null, p_by text default session_user
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_filter pgdial.call_filter := pgdial.read_filter(p_filter);
    v_now constant timestamptz := pgdial.now();
    v_found record;
    v_verdicts jsonb;
begin
    perform pgdial.check_batch(p_why, p_limit);
    perform pgdial.check_resolution(p_as, p_why);
    v_filter.states := coalesce(v_filter.states, case when 'unknown' = any (v_filter.outcomes) then array['failed'] else array['unresolved'] end);
    if v_filter.states = '{failed}' then
        v_filter.outcomes := '{unknown}';
    end if;
    select * into v_found from pgdial.batch_of(v_filter, case when 'failed' = any (v_filter.states) then 'any' else 'flying' end,
                                               p_cursor, p_limit, p_dry_run);
    if p_dry_run then
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select pgdial.resolve_verdict(c, p_as, v_now) as verdict, count(*) as n
              from pgdial.calls c where c.id = any (v_found.ids) group by 1) v;
    else
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select r.verdict, count(*) as n
              from pgdial.resolve_many((select coalesce(jsonb_agg(jsonb_build_object(
                        'id', i, 'as', p_as, 'by', p_by, 'why', p_why)), '[]')
                    from unnest(v_found.ids) i)) r group by 1) v;
        if v_verdicts ? 'resolved' then
            perform pgdial.wake('claim');
        end if;
    end if;
    return pgdial.end_batch('resolve', p_dry_run, p_filter, v_filter, v_found.ids, v_found.cursor, v_verdicts, p_by, p_why,
                            jsonb_build_object('as', p_as));
end $$;

-- recheck_matching: waiting calls that a contact limit has put aside become due now; the next claim counts again.
-- Verdicts: due, not_put_aside, and those of each.
create or replace function pgdial.recheck_matching(
    p_filter jsonb, p_why text, p_limit int default 1000, p_dry_run boolean default false,
    p_cursor text default null, p_by text default session_user
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_filter pgdial.call_filter := pgdial.read_filter(p_filter);
    v_now constant timestamptz := pgdial.now();
    v_found record;
    v_verdicts jsonb;
begin
    perform pgdial.check_batch(p_why, p_limit);
    v_filter.states := array['waiting'];
    select * into v_found from pgdial.batch_of(v_filter, 'live', p_cursor, p_limit, p_dry_run);
    if p_dry_run then
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select case when pgdial.is_put_aside(c, v_now) then 'due' else 'not_put_aside' end as verdict, count(*) as n
              from pgdial.calls c where c.id = any (v_found.ids) group by 1) v;
    else
        select jsonb_object_agg(v.verdict, v.n) into v_verdicts
        from (select r.verdict, count(*) as n
              from pgdial.each('recheck_one', (select coalesce(jsonb_agg(jsonb_build_object('id', i, 'by', p_by, 'why', p_why)), '[]')
                                               from unnest(v_found.ids) i), false) r group by 1) v;
        if v_verdicts ? 'due' then
            perform pgdial.wake('claim');
        end if;
    end if;
    return pgdial.end_batch('recheck', p_dry_run, p_filter, v_filter, v_found.ids, v_found.cursor, v_verdicts, p_by, p_why, '{}');
end $$;

-- export_ids: the calls of one page of an export, and where the next page begins. An empty filter means all
-- calls: this only reads, and every role here may read all of them anyway.
create or replace function pgdial.export_ids(
    p_filter jsonb, p_cursor text, p_limit int, out ids uuid[], out cursor text
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    select m.ids, m.cursor into ids, cursor
    from pgdial.matching(pgdial.read_filter(p_filter || '{"all": true}'), 'any', p_cursor, p_limit, 200000) m;
end $$;

-- check_batch: an error that says what is wrong with a reason or a limit.
create or replace function pgdial.check_batch(p_why text, p_limit int) returns void
language plpgsql stable
as $$
begin
    if coalesce(p_limit, 0) not between 1 and 10000 then
        raise exception '"limit" is a whole number from 1 to 10000' using errcode = 'invalid_parameter_value';
    elsif coalesce(trim(p_why), '') = '' then
        raise exception '"why" is missing: it is kept with the act' using errcode = 'invalid_parameter_value';
    end if;
end $$;

-- batch_of: the calls of one batch, and where the next one begins. A dry run only counts, so it may visit more.
create or replace function pgdial.batch_of(
    p_filter pgdial.call_filter, p_scope text, p_cursor text, p_limit int, p_dry_run boolean, out ids uuid[], out cursor text
)
language plpgsql stable
as $$
begin
    select m.ids, m.cursor into ids, cursor
    from pgdial.matching(p_filter, p_scope, p_cursor, case when p_dry_run then 100000 else p_limit end,
                         case when p_dry_run then 1000000 else 200000 end) m;
end $$;

-- end_batch: what a batch returns; and its act, unless it only counted or found nothing. p_asked: what was asked for
-- beside the filter.
create or replace function pgdial.end_batch(
    p_act text, p_dry_run boolean, p_filter jsonb, p_read pgdial.call_filter, p_ids uuid[], p_cursor text, p_verdicts jsonb,
    p_by text, p_why text, p_asked jsonb
) returns jsonb
language plpgsql volatile
as $$
begin
    if not p_dry_run and cardinality(p_ids) > 0 then
        perform pgdial.note_act(p_act, 'calls', null, p_by, p_why, p_asked || jsonb_build_object(
            -- The number in normal form, and no long list of ids: each of them has its event.
            'filter', (p_filter - 'ids') || case when p_read.phone is not null
                                                 then jsonb_build_object('to', p_read.phone) else '{}' end,
            'ids', cardinality(p_read.ids), 'matched', cardinality(p_ids), 'verdicts', p_verdicts));
    end if;
    return jsonb_build_object('dryRun', p_dry_run, 'matched', cardinality(p_ids),
                              'verdicts', coalesce(p_verdicts, '{}'), 'cursor', p_cursor);
end $$;
