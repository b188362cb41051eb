-- Views for people and dashboards, which read these instead of the tables and so survive schema changes. None
-- scans the whole history: live calls are counted exactly, of finished calls only the latest are visited, and
-- since says how far back that goes.
-- A function in a view needs the reader's own right to call it, a table the view owner's right: the views that
-- a dashboard may be granted alone (latest_ended, call_overview) have pgdial.now() written out.

-- latest_ended: the calls that ended last: those of 24 hours, at most 50,000.
create or replace view pgdial.latest_ended as
select c.id, c.phone, c.campaign, c.trunk, c.state::text as state, c.outcome, c.attempt, c.last_error,
       c.created_at, c.started_at, c.answered_at, c.ended_at
from pgdial.calls c
where c.ended_at > (select clock_timestamp() + k.ahead from pgdial.clock k) - interval '24 hours'
order by c.ended_at desc
limit 50000;

-- waiting_calls: per campaign, how many wait, how many are due, and since when the oldest is.
-- Cost: an index entry for each waiting call.
--   waiting        calls in the state waiting
--   due            those of them whose run_at has come
--   oldest_due_at  the run_at of the one that has been due for longest; null: none is due
--   next_run_at    when the next of the others falls due; null: there is none
create or replace view pgdial.waiting_calls as
with n as materialized (select pgdial.now() as now)
select c.campaign, count(*) as waiting, count(*) filter (where c.run_at <= n.now) as due,
       min(c.run_at) filter (where c.run_at <= n.now) as oldest_due_at,
       min(c.run_at) filter (where c.run_at > n.now) as next_run_at
from n, pgdial.calls c
where c.state = 'waiting'
group by c.campaign;

-- live_calls: the slots in use, oldest first.
--   age  time since its claim
create or replace view pgdial.live_calls as
select c.id, c.phone, c.campaign, c.trunk, c.state::text as state, c.attempt, c.claim_no, c.claimed_at,
       (select pgdial.now()) - c.claimed_at as age, c.answered_at, c.deadline_at, c.provider_call_id,
       c.claimed_by, c.cancel_requested_at
from pgdial.calls c
where c.state in ('dialing', 'unresolved', 'in_call')
order by c.claimed_at;

-- call_overview: calls by campaign and state. since is null if all of them are counted; else only those that
-- ended since then.
--   calls  how many there are
--   since  from when on ended calls are counted; null: all are
create or replace view pgdial.call_overview as
select c.campaign, 'waiting' as state, count(*) as calls, null::timestamptz as since
from pgdial.calls c where c.state = 'waiting' group by c.campaign
union all
select c.campaign, c.state::text, count(*), null
from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call') group by c.campaign, c.state
union all
select e.campaign, e.state, count(*), min(min(e.ended_at)) over () from pgdial.latest_ended e group by e.campaign, e.state;

-- campaign_progress: what each campaign has left to do, whether it may dial now, and how its calls ended since
-- then (see latest_ended).
--   campaign         the name of the campaign
--   in_flight        its calls that hold a slot
--   room             how many more could be claimed now
--   reason           why that is 0 (pgdial.lanes); null: it is not
--   completed        its latest calls that ended so
--   failed           those that ended so
--   ended_otherwise  those that were canceled, expired or suppressed
--   since            from when on ended calls are counted; null: none has ended lately
create or replace view pgdial.campaign_progress as
select g.name as campaign, g.trunk, g.weight, g.cap, g.paused, l.in_flight, l.room, l.reason,
       coalesce(w.waiting, 0) as waiting, coalesce(w.due, 0) as due, w.oldest_due_at,
       coalesce(e.completed, 0) as completed, coalesce(e.failed, 0) as failed, coalesce(e.otherwise, 0) as ended_otherwise,
       s.since
from pgdial.campaigns g
     left join pgdial.lanes(null, (select pgdial.now())) l on l.campaign = g.name
     left join pgdial.waiting_calls w on w.campaign = g.name
     left join (
        select e.campaign,
               count(*) filter (where e.state = 'completed') as completed,
               count(*) filter (where e.state = 'failed') as failed,
               count(*) filter (where e.state not in ('completed', 'failed')) as otherwise
        from pgdial.latest_ended e group by e.campaign) e on e.campaign = g.name
     cross join (select min(e.ended_at) as since from pgdial.latest_ended e) s;

-- calls_by_state: how many calls there are in each state. Exact for those in flight, for up to a million
-- waiting ones and for up to 10,000 of each other state; beyond that estimated from Postgres's statistics, with
-- is_estimated.
--   calls         how many there are in it
--   is_estimated  whether that is an estimate
create or replace view pgdial.calls_by_state as
with recursive known (campaign) as (
    -- The campaigns with finished calls, by jumping along the index.
    (select c.campaign from pgdial.calls c where c.ended_at is not null order by c.campaign limit 1)
    union all
    select (select c.campaign from pgdial.calls c where c.ended_at is not null and c.campaign > k.campaign order by c.campaign limit 1)
    from known k where k.campaign is not null
), counted (state, calls, most) as (
    select 'waiting', (select count(*) from (select from pgdial.calls c where c.state = 'waiting' limit 1000001) w), 1000000
    union all
    select s.state, (select count(*) from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call') and c.state::text = s.state), null
    from unnest(array['dialing', 'unresolved', 'in_call']) s (state)
    union all
    select s.state::text, (
        select count(*) from (
            select from known k cross join lateral (
                select from pgdial.calls c
                where c.ended_at is not null and c.campaign = k.campaign and c.state = s.state limit 10001) o
            limit 10001) o), 10000
    from unnest(array['completed', 'failed', 'canceled', 'expired', 'suppressed']::pgdial.call_state[]) s (state)
), estimated (state, calls) as (
    select v.state, (k.reltuples * v.part)::bigint
    from pg_class k
         join pg_stats p on p.schemaname = 'pgdial' and p.tablename = 'calls' and p.attname = 'state' and not p.inherited
         cross join lateral unnest(p.most_common_vals::text::text[], p.most_common_freqs) v (state, part)
    where k.oid = 'pgdial.calls'::regclass
)
select n.state, case when n.calls > n.most then greatest(n.calls, e.calls) else n.calls end as calls,
       coalesce(n.calls > n.most, false) as is_estimated
from counted n left join estimated e on e.state = n.state;

-- stuck_calls: in flight past their lease or deadline, unresolved, or still up after a cancel request; and
-- numbers held because nobody knows how a dial ended.
--   why  what is odd about it, in words
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

-- attempts: one row per dial, from the history.
--   attempt           which attempt of the call it was
--   number            which of the call's numbers it rang, from 1; null: the call has one only
--   trunk             on which it was dialled
--   claimed_at        when the claim took it
--   in_call_at        when the provider accepted it; null: it has not, or its end was reported first
--   provider_call_id  the provider's own id of it; null: not known
--   ended_at          when it ended; null: it has not
--   ended_as          the event that ended it: completed, retried, failed, canceled, deferred, suppressed or expired
--   outcome           how it ended; null: it has not, or nobody was rung
--   why               the reason in words; null: none was given
--   result            fields of the provider's reports about it; null: none
--   caller_id         what it was dialled from; null: the trunk's own number
--   disposition       what the conversation came to; null: nobody said
--   callback_at       when the callee asked to be called back; null: they did not
--   allowed           why it was allowed, for pgdial.evidence; null: nothing but the do-not-call list was asked
create or replace view pgdial.attempts as
select a.call_id, a.claim_no, a.attempt, (a.detail ->> 'number')::int as number, a.detail ->> 'trunk' as trunk, a.at as claimed_at,
       d.at as in_call_at, coalesce(d.detail ->> 'provider_call_id', e.detail ->> 'provider_call_id') as provider_call_id,
       e.at as ended_at, e.kind as ended_as, e.detail ->> 'outcome' as outcome,
       coalesce(e.detail ->> 'why', e.detail ->> 'reason') as why,
       case when r.added is null then e.detail -> 'result' else coalesce(e.detail -> 'result', '{}') || r.added end as result,
       a.detail ->> 'caller_id' as caller_id,
       s.detail ->> 'disposition' as disposition, (s.detail ->> 'callback_at')::timestamptz as callback_at,
       a.detail -> 'allowed' as allowed
from pgdial.call_events a
     left join lateral (select i.at, i.detail from pgdial.call_events i
                        where i.call_id = a.call_id and i.claim_no = a.claim_no and i.kind = 'in_call'
                        order by i.seq limit 1) d on true
     left join lateral (select i.at, i.kind, i.detail from pgdial.call_events i
                        where i.call_id = a.call_id and i.claim_no = a.claim_no
                          and i.kind in ('completed', 'retried', 'failed', 'canceled', 'deferred', 'suppressed', 'expired')
                        order by i.seq limit 1) e on true
     left join lateral (select jsonb_object_agg(k.key, k.value order by i.seq) as added
                        from pgdial.call_events i cross join jsonb_each(i.detail -> 'result') k
                        where i.call_id = a.call_id and i.claim_no = a.claim_no and i.kind = 'result_added') r on true
     left join lateral (select i.detail from pgdial.call_events i
                        where i.call_id = a.call_id and i.claim_no = a.claim_no
                          and i.kind in ('completed', 'retried', 'failed', 'canceled', 'suppressed', 'expired', 'disposition')
                          and i.detail ? 'disposition'
                        order by i.seq desc limit 1) s on true
where a.kind = 'active';
