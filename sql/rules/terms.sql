-- trunk_terms: what is in effect on a trunk: what a person has said, else what its adapter declares, else nothing.
-- The one place that reads either.
-- p_account: where a dial was sent. What an adapter declares about another account says nothing of it; null = any.
-- look_up: none, hint or authoritative. by_reference: a dial can be asked about before the provider's id is known.
-- may_repeat: a person may say that a request rings once per key. Not where the adapter knows better: a key must be
-- kept for as long as repeats_due relies on it.
create or replace function pgdial.trunk_terms(p_trunk text, p_account text default null)
returns table (look_up text, by_reference boolean, idempotent boolean, may_repeat boolean, reports_within interval, cancels boolean)
language sql stable
as $$
    select coalesce(t.look_up, case a.look_up when 'by_id' then 'hint' else a.look_up end, 'none'),
           coalesce(a.look_up not in ('none', 'by_id'), true),
           a.may_repeat and coalesce(t.idempotent, a.idempotency = 'honoured', false),
           a.may_repeat,
           nullif(coalesce(t.reports_within, a.reports_within), '0'),
           coalesce(a.cancels, true)
    from pgdial.trunks t
         left join pgdial.trunk_adapter d on d.trunk = t.name and coalesce(d.account = p_account, true)
         cross join lateral (select d.declares ->> 'lookUp', d.declares ->> 'idempotency', (d.declares ->> 'reportsWithin')::interval,
                                    (d.declares ->> 'cancels')::boolean,
                                    coalesce(d.declares ->> 'idempotency' <> 'none', true)
                                    and coalesce((d.declares ->> 'keyKept')::interval >= '10 minutes', true))
                            a (look_up, idempotency, reports_within, cancels, may_repeat)
    where t.name = p_trunk
$$;

-- dial_terms: what is in effect for a dial. is_asked: its provider can be asked about it; without the provider's id
-- only by reference. Takes fields: a whole row would be built for each call in flight.
create or replace function pgdial.dial_terms(p_trunk text, p_account text, p_provider_call_id text)
returns table (is_asked boolean, is_authoritative boolean, idempotent boolean, reports_within interval, cancels boolean)
language sql stable
as $$
    select t.look_up <> 'none' and (t.by_reference or p_provider_call_id is not null),
           t.look_up = 'authoritative', t.idempotent, t.reports_within, t.cancels
    from pgdial.trunk_terms(p_trunk, p_account) t
$$;

-- trunk_conflicts: where a person has said what the adapter of the trunk knows to be otherwise, with what follows.
create or replace function pgdial.trunk_conflicts(p_trunk text) returns text[]
language plpgsql stable
as $$
begin
    return array(
        select c.words
        from pgdial.trunks t join pgdial.trunk_adapter a on a.trunk = t.name
             cross join lateral pgdial.trunk_terms(t.name) e
             cross join lateral (values
                 (t.look_up in ('hint', 'authoritative') and a.declares ->> 'lookUp' = 'none',
                  format('look-up is set to %s, and its platform cannot be asked about calls: it is asked in vain', t.look_up)),
                 (t.look_up = 'authoritative' and a.declares ->> 'lookUp' = 'by_id',
                  'look-up is set to authoritative, and its platform is asked by its own id alone: '
                  'a dial in doubt has none, and is not asked about'),
                 (t.look_up = 'authoritative' and a.declares ->> 'lookUp' = 'hint',
                  'look-up is set to authoritative, and its platform does not promise that what it does not know was not placed: '
                  'somebody may be rung twice'),
                 (t.idempotent and not e.may_repeat, format('idempotent is set to true, and has no effect: its platform %s',
                  pgdial.repeat_problem(a.declares)))) c (applies, words)
        where t.name = p_trunk and c.applies);
end $$;

-- repeat_problem: why a request must not be sent again on a platform with these capabilities.
create or replace function pgdial.repeat_problem(p_declares jsonb) returns text
language plpgsql immutable
as $$
begin
    return case p_declares ->> 'idempotency'
        when 'none' then 'rings again for each request'
        else format('keeps a key for %s s, and 10 minutes are needed', extract(epoch from (p_declares ->> 'keyKept')::interval)::int) end;
end $$;
