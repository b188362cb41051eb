-- Views for people and dashboards: they read these, not the tables, and so survive a
-- change of the schema. Each is bounded by what is waiting or in flight, or says not.

-- call_overview: calls by campaign and state. Counts every call kept.
create or replace view pgdial.call_overview as
select c.campaign, c.state::text as state, count(*) as calls,
       min(c.created_at) as oldest_created, min(c.run_at) filter (where c.state = 'waiting') as next_run_at
from pgdial.calls c
group by c.campaign, c.state;

-- live_calls: the slots in use, oldest first.
create or replace view pgdial.live_calls as
select c.id, c.phone, c.campaign, c.trunk, c.state::text as state, c.attempt, c.claim_no, c.claimed_at,
       (select pgdial.now()) - c.claimed_at as age, c.answered_at, c.deadline_at, c.provider_call_id,
       c.claimed_by, c.cancel_requested_at
from pgdial.calls c
where c.state in ('dialing', 'unresolved', 'in_call')
order by c.claimed_at;

-- campaign_progress: how far each campaign is, and whether it may dial now.
create or replace view pgdial.campaign_progress as
select g.name as campaign, g.trunk, g.weight, g.cap, g.paused, l.in_flight, l.room, l.reason,
       coalesce(n.waiting, 0) as waiting, coalesce(n.completed, 0) as completed, coalesce(n.failed, 0) as failed,
       coalesce(n.other, 0) as canceled_expired_suppressed, coalesce(n.total, 0) as total
from pgdial.campaigns g
     left join pgdial.lanes(null, (select pgdial.now())) l on l.campaign = g.name
     left join (
        select c.campaign, count(*) as total,
               count(*) filter (where c.state = 'waiting') as waiting,
               count(*) filter (where c.state = 'completed') as completed,
               count(*) filter (where c.state = 'failed') as failed,
               count(*) filter (where c.state in ('canceled', 'expired', 'suppressed')) as other
        from pgdial.calls c group by c.campaign) n on n.campaign = g.name;

-- stuck_calls: in flight past their lease or deadline, unresolved, or asked to end and
-- still up; and numbers held because nobody knows how a dial ended.
create or replace view pgdial.stuck_calls as
select c.id, c.phone, c.campaign, c.trunk, c.state::text as state, c.attempt, c.claimed_at, c.deadline_at, c.hold_until,
       case when c.state = 'dialing' then 'its lease is over'
            when c.deadline_at <= n.now then 'past its deadline'
            when c.cancel_requested_at is not null then 'asked to end, still up'
            when c.state = 'unresolved' then 'nobody knows yet whether it rings'
            else 'its number is held: nobody knows how the dial ended' end as why,
       c.last_error
from (select pgdial.now() as now) n, pgdial.calls c
where (c.state = 'dialing' and c.lease_until <= n.now)
   or (c.state in ('dialing', 'unresolved', 'in_call') and c.deadline_at <= n.now)
   or (c.state in ('dialing', 'unresolved', 'in_call') and c.cancel_requested_at < n.now - '30 seconds'::interval)
   or c.state = 'unresolved'
   or c.hold_until > n.now;

-- attempts: one row for each dial, from the history.
create or replace view pgdial.attempts as
select a.call_id, a.claim_no, a.attempt, a.detail ->> 'trunk' as trunk, a.at as claimed_at,
       d.at as in_call_at, coalesce(d.detail ->> 'provider_call_id', e.detail ->> 'provider_call_id') as provider_call_id,
       e.at as ended_at, e.kind as ended_as, e.detail ->> 'outcome' as outcome,
       coalesce(e.detail ->> 'why', e.detail ->> 'reason') as why, e.detail -> 'result' as result
from pgdial.call_events a
     left join lateral (select i.at, i.detail from pgdial.call_events i
                        where i.call_id = a.call_id and i.claim_no = a.claim_no and i.kind = 'in_call'
                        order by i.seq limit 1) d on true
     left join lateral (select i.at, i.kind, i.detail from pgdial.call_events i
                        where i.call_id = a.call_id and i.claim_no = a.claim_no
                          and i.kind in ('completed', 'retried', 'failed', 'canceled', 'deferred', 'suppressed')
                        order by i.seq limit 1) e on true
where a.kind = 'active';
