-- doubts: the trunks on which dials in doubt hold more than a third of the slots, with what would avoid that, as
-- far as the platform can do it.
-- p_trunk: null = all.
--   select * from pgdial.doubts();
create or replace function pgdial.doubts(p_trunk text default null)
returns table (trunk text, slots int, in_doubt int, oldest_at timestamptz, advice text)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
    select t.name, t.slots, d.n, d.oldest_at, concat_ws('; ',
        case when e.look_up = 'none' and e.by_reference then format(
            'if its provider can be asked about calls: pgdial trunks set %s --look-up hint', t.name) end,
        case when not e.idempotent and e.may_repeat then format(
            'if it rings once for one Idempotency-Key: pgdial trunks set %s --idempotent true', t.name) end,
        case when e.reports_within is null then format(
            'if it tells of every call within some time: pgdial trunks set %s --reports-within TIME', t.name) end,
        'if its console knows what became of them: pgdial calls resolve ID --as WHAT --why TEXT')
    from pgdial.trunks t cross join lateral pgdial.trunk_terms(t.name) e
         cross join lateral (select count(*)::int as n, min(c.claimed_at) as oldest_at
                             from pgdial.calls c where c.state = 'unresolved' and c.trunk = t.name) d
    where d.n > t.slots / 3.0 and t.name = coalesce(p_trunk, t.name)
    order by t.name;
end $$;
