-- why: why is this call not being dialled, or what is awaited? Every reason that holds
-- now, in the order in which they must change; it shares pgdial.lanes with the claim.
-- Answers position, reason, message, object (what it concerns), until (when it changes
-- by itself, where that is known). Zero rows: there is no such call.
create or replace function pgdial.why(p_id uuid)
returns table (ord int, reason text, message text, object text, until timestamptz)
language sql volatile
as $$
    with n as materialized (select pgdial.now() as now),
    c as materialized (select c.* from pgdial.calls c where c.id = p_id),
    lane as (select l.* from n cross join pgdial.lanes(null, n.now) l where l.campaign = (select c.campaign from c)),
    taken as (
        select o.id, o.state, coalesce(o.hold_until, o.deadline_at) as until, o.started_at
        from c, n, pgdial.calls o
        where o.phone = c.phone and o.id <> c.id
          and (o.state in ('dialing', 'unresolved', 'in_call') or o.hold_until > n.now)
        limit 1),
    waiting (ord, reason, message, object, until) as (
        select 10, 'suppressed', 'the number is on the do-not-call list: ' || d.reason, 'do_not_call', null::timestamptz
        from c join pgdial.do_not_call d on d.phone = c.phone
        union all
        select 11, 'expired', 'its expiresAt has passed; the sweep will end it', c.id::text, null
        from c, n where c.expires_at <= n.now
        union all
        select 12, 'no_campaign', format('there is no campaign %s any more: create it, or cancel the call', c.campaign),
               c.campaign, null
        from c where not exists (select from pgdial.campaigns g where g.name = c.campaign)
        union all
        select 15, 'cluster_changed', k.why || ': commits may be missing, so nothing is dialled until somebody runs `pgdial recover`',
               'cluster', null
        from (select pgdial.cluster_changed()) k (why) where k.why is not null
        union all
        select 20, 'trunk_paused', format('trunk %s is paused by %s since %s: %s', t.name, t.paused_by,
               to_char(t.paused_at, 'YYYY-MM-DD HH24:MI:SSOF'), coalesce(t.paused_why, 'no reason given')), t.name, null
        from lane l join pgdial.trunks t on t.name = l.trunk where t.paused
        union all
        select 21, 'campaign_paused', format('campaign %s is paused by %s since %s: %s', g.name, g.paused_by,
               to_char(g.paused_at, 'YYYY-MM-DD HH24:MI:SSOF'), coalesce(g.paused_why, 'no reason given')), g.name, null
        from c join pgdial.campaigns g on g.name = c.campaign where g.paused
        union all
        select 24, l.reason, format('trunk %s is held until %s: a recovery could not ask its provider what may still ring', l.trunk, l.opens_at),
               l.trunk, l.opens_at
        from lane l where l.reason = 'trunk_held'
        union all
        select 25, l.reason, case l.reason
               when 'breaker' then format('the provider of trunk %s fails since %s (%s faults in a row, the last: %s); one call at a time probes it',
                                          b.trunk, b.opened_at, b.faults, coalesce(b.last_fault, 'no words'))
               else format('the provider of trunk %s has no room and asked us to wait', b.trunk) end, b.trunk, b.not_before
        from lane l join pgdial.trunk_breaker b on b.trunk = l.trunk where l.reason in ('breaker', 'provider_full')
        union all
        select 30, case when c.attempt > 0 then 'retry_due' else 'scheduled' end,
               case when c.attempt > 0 then format('attempt %s ended %s; the next one is due at %s', c.attempt,
                                                   coalesce(c.outcome::text, 'without an outcome'), c.run_at)
                    else format('it is scheduled for %s', c.run_at) end, c.id::text, c.run_at
        from c, n where c.run_at > n.now
        union all
        select 35, 'unclaimable', 'it could not be claimed, and is tried again: ' || o.why, c.id::text, o.until
        from c join pgdial.unclaimable o on o.call_id = c.id, n where o.until > n.now
        union all
        select 40, 'no_worker', 'no live worker can dial on trunk ' || l.trunk || coalesce(
               ': the last one was seen at ' || (select max(w.seen_at)::text from pgdial.workers w where l.trunk = any (w.trunks)),
               ': start one with `pgdial work`'), l.trunk, null
        from lane l, n
        where not exists (select from pgdial.workers w
                          where l.trunk = any (w.trunks) and not w.stopping and w.seen_at > n.now - '45 seconds'::interval)
        union all
        select 50, 'number_taken', case when t.state in ('dialing', 'unresolved', 'in_call')
               then format('the number is taken by call %s, %s since %s', t.id, t.state, t.started_at)
               else format('the number is held by call %s, whose end nobody knows', t.id) end, t.id::text, t.until
        from taken t
        union all
        select 60, 'trunk_full', format('all %s slots of trunk %s are in use', t.slots, t.name), t.name, null
        from lane l join pgdial.trunks t on t.name = l.trunk
        where (select count(*) from pgdial.calls f where f.state in ('dialing', 'unresolved', 'in_call')
               and f.trunk = t.name) >= t.slots
        union all
        select 61, 'campaign_full', format('campaign %s has %s calls in flight, its cap', g.name, g.cap), g.name, null
        from lane l join pgdial.campaigns g on g.name = l.campaign where l.in_flight >= g.cap
        union all
        select 70, 'pacing', format('trunk %s places %s calls a second', t.name, t.calls_per_second), t.name, l.opens_at
        from lane l join pgdial.trunks t on t.name = l.trunk where l.reason = 'pacing'
    ),
    flight (ord, reason, message, object, until) as (
        select 1, c.state::text, case c.state
            when 'dialing' then format('a worker is dialing since %s', c.claimed_at)
            when 'unresolved' then 'the dial may have reached the provider: awaiting its webhook: ' || coalesce(c.last_error, '')
            else 'the provider has accepted it: awaiting its final webhook' end,
            coalesce(c.provider_call_id, c.id || '-' || c.claim_no), case when c.state = 'dialing' then c.lease_until else c.deadline_at end
        from c where c.state in ('dialing', 'unresolved', 'in_call')
        union all
        select 2, 'cancel_requested', format('%s asked to cancel it at %s', c.cancel_requested_by, c.cancel_requested_at), c.id::text, null
        from c where c.state in ('dialing', 'unresolved', 'in_call') and c.cancel_requested_at is not null
    ),
    over (ord, reason, message, object, until) as (
        select 1, c.state::text, format('it ended at %s%s%s', c.ended_at, coalesce(' as ' || c.outcome::text, ''),
               coalesce(': ' || c.last_error, '')), c.id::text, null::timestamptz
        from c where c.state in ('completed', 'failed', 'canceled', 'expired', 'suppressed')
        union all
        select 2, 'held', 'nobody knows how its last dial ended: its number stays taken (pgdial release ID --why ..., or select pgdial.release(id, why), ends that)',
               c.id::text, c.hold_until
        from c, n where c.hold_until > n.now and c.state <> 'waiting'
    ),
    reasons as (
        select w.* from waiting w, c where c.state = 'waiting'
        union all select * from flight
        union all select * from over
        union all
        select 99, 'next', 'nothing stands in its way: it is dialled in its turn', c.id::text, null
        from c where c.state = 'waiting' and not exists (select from waiting)
    )
    select row_number() over (order by r.ord)::int, r.reason, r.message, r.object, r.until from reasons r order by r.ord
$$;
