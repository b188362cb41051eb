-- each: the items of a verb, one by one, each in a guard of its own: one that cannot be written does not affect
-- the others.
-- p_one: the function of this schema that handles one item. It gets the item, its call, whose row is locked,
-- and the time, which is read once, after the locks; it returns a verdict and a detail.
-- p_missing: it also handles items without a call.
-- Only verbs call it, with function names of their own: nothing else may (sql/rules/grants.sql).
-- Verdicts in addition to those: locked_out, not_found, refused (a constraint or a trigger refused it:
-- detail.why).
create or replace function pgdial.each(p_one text, p_items jsonb, p_wait boolean, p_missing boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile
as $$
declare
    v_one constant text := format('select o.verdict, coalesce(o.detail, ''{}'') from pgdial.%I($1, $2, $3) o', p_one);
    v_item record;
    v_call pgdial.calls;
    v_now timestamptz;
begin
    for v_item in select * from pgdial.locked_items(p_items, p_wait) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := '{}';
        if verdict is null or p_missing and verdict = 'not_found' then
            begin
                select c.* into v_call from pgdial.calls c where c.id = v_item.id;
                execute v_one into verdict, detail using v_item.item, v_call, v_now;
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;

-- each_alone: the items of a verb that failed together, each alone and in a guard of its own.
-- p_all: the function of this schema that handles many. Verdicts in addition to its own: refused, as in each.
create or replace function pgdial.each_alone(p_all text, p_items jsonb, p_wait boolean)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile
as $$
declare
    v_all constant text := format('select o.verdict, o.detail from pgdial.%I(jsonb_build_array($1), $2) o', p_all);
    v_item jsonb;
begin
    for ordinal, v_item in select e.n, e.i from jsonb_array_elements(p_items) with ordinality as e (i, n) order by e.n loop
        begin
            execute v_all into verdict, detail using v_item, p_wait;
        exception when integrity_constraint_violation or raise_exception or data_exception then
            verdict := 'refused';
            detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
        end;
        return next;
    end loop;
end $$;
