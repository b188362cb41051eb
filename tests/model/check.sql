-- What the database holds, for comparison with the reference model, and which invariants
-- its rows break, whatever the model says. One statement, so that it is one snapshot.
-- It also lets a millisecond pass: two steps never happen at one moment.
with tick as (
    update pgdial.clock set ahead = ahead + interval '1 millisecond'
), call_story as (
    select e.call_id, e.claim_no, e.kind, e.seq, coalesce((e.detail ->> 'late')::boolean, false) as late,
           lag(e.kind) over (partition by e.call_id order by e.seq) = 'resolved' as resolved
    from pgdial.call_events e
), turn as (
    -- Events that give a call its state; the others are remarks.
    select s.*, lag(s.kind) over (partition by s.call_id order by s.seq) as before
    from call_story s
    where s.kind in ('waiting', 'active', 'unresolved', 'in_call', 'completed', 'retried', 'deferred',
                     'failed', 'canceled', 'expired', 'suppressed', 'redriven')
), broken (promise) as (
    select format('P1: claim %s of call %s happened twice', s.claim_no, s.call_id)
    from call_story s where s.kind = 'active' group by s.call_id, s.claim_no having count(*) > 1
    union all
    select format('P1: call %s was claimed %s times, its claim_no is %s', c.id, count(s.*), c.claim_no)
    from pgdial.calls c left join call_story s on s.call_id = c.id and s.kind = 'active'
    group by c.id having count(s.*) <> c.claim_no or coalesce(max(s.claim_no), 0) <> c.claim_no
    union all
    select format('P1: %s calls in flight to one number', count(*))
    from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call') group by c.phone having count(*) > 1
    union all
    select format('P3: trunk %s has %s in flight', t.name, count(*))
    from pgdial.trunks t join pgdial.calls c on c.trunk = t.name
    where c.state in ('dialing', 'unresolved', 'in_call') group by t.name having count(*) > t.slots
    union all
    select format('P3: campaign %s has %s in flight', g.name, count(*))
    from pgdial.campaigns g join pgdial.calls c on c.campaign = g.name
    where c.state in ('dialing', 'unresolved', 'in_call') group by g.name having count(*) > g.cap
    union all
    select format('P2: the events of call %s end with %s, it is %s', c.id, l.kind, c.state)
    from pgdial.calls c
         left join lateral (select t.kind from turn t where t.call_id = c.id order by t.seq desc limit 1) l on true
    where c.state::text is distinct from case when l.kind in ('retried', 'deferred', 'redriven') then 'waiting'
                                              when l.kind = 'active' then 'dialing' else l.kind end
    union all
    select format('P6: %s after %s, call %s', t.kind, t.before, t.call_id)
    from turn t
    where not case
        when t.before is null then t.kind = 'waiting'
        when t.before in ('waiting', 'retried', 'deferred', 'redriven')
            then t.kind in ('active', 'canceled', 'expired', 'suppressed') or (t.kind in ('completed', 'failed') and t.late)
        when t.before in ('active', 'unresolved', 'in_call')
            then t.kind in ('completed', 'retried', 'deferred', 'failed', 'canceled', 'suppressed')
                 or (t.kind = 'unresolved' and t.before = 'active')
                 or (t.kind = 'in_call' and t.before <> 'in_call')
        when t.before = 'failed' then t.kind = 'redriven' or (t.kind in ('completed', 'failed') and t.late)
                 or (t.kind in ('completed', 'failed', 'canceled', 'suppressed', 'deferred') and t.resolved)
        else t.kind = 'redriven' end
    union all
    select format('a cancel was wished, and call %s went back', s.call_id)
    from call_story s where s.kind in ('retried', 'deferred') and exists (
        select from call_story w where w.call_id = s.call_id and w.claim_no = s.claim_no
        and w.kind = 'cancel_requested' and w.seq < s.seq)
    union all
    select format('P2: no entry of the list waits for call %s, which waits in vain', c.id)
    from pgdial.calls c join pgdial.do_not_call d on d.phone = c.phone where c.state = 'waiting' and not d.pending
)
select jsonb_build_object(
    'calls', (select jsonb_object_agg(c.id, jsonb_build_object(
        'state', c.state, 'number', c.phone, 'campaign', c.campaign, 'priority', c.priority,
        'run_at', since(c.run_at), 'expires_at', since(c.expires_at),
        'attempt', c.attempt, 'max_attempts', c.max_attempts, 'deferrals', c.deferrals, 'claim_no', c.claim_no,
        'lease_until', since(c.lease_until), 'deadline_at', since(c.deadline_at),
        'hold_until', since(c.hold_until), 'trunk', c.trunk, 'provider_call_id', c.provider_call_id,
        'answered_at', since(c.answered_at), 'ended_at', since(c.ended_at), 'outcome', c.outcome,
        'cancel_requested', c.cancel_requested_at is not null, 'look_up_at', since(c.look_up_at),
        'not_found', c.not_found, 'answered_before', c.answered_before is not null,
        'told', jsonb_build_array(c.ring_timeout_sec, c.max_duration_sec),
        'events', (select string_agg(s.kind, ' ' order by s.seq) from call_story s where s.call_id = c.id)))
        from pgdial.calls c),
    'webhook_events', (select jsonb_agg(jsonb_build_array(w.event_id, w.verdict, w.deliveries) order by w.id)
                       from pgdial.webhook_events w),
    'trunks', (select jsonb_object_agg(t.name, jsonb_build_object(
                   'paused', t.paused, 'faults', coalesce(b.faults, 0), 'open', b.opened_at is not null,
                   'not_before', since(b.not_before)))
               from pgdial.trunks t left join pgdial.trunk_breaker b on b.trunk = t.name where t.name <> 'default'),
    'campaigns', (select jsonb_object_agg(g.name, g.paused) from pgdial.campaigns g),
    'do_not_call', (select jsonb_object_agg(d.phone, d.pending) from pgdial.do_not_call d),
    'broken', (select jsonb_agg(b.promise) from broken b))
