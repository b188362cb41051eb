-- Something to see for every question, on a history that is all completed calls of one campaign:
-- 20 campaigns, failures of several kinds among the latest, calls that wait for a retry, slots in use,
-- a number that is held, a worker, and webhook events of the last day.
insert into pgdial.campaigns (name, trunk) select 'lane_' || i, 'default' from generate_series(1, 20) i;

with latest as (
    select c.id, row_number() over (order by c.id) as i
    from (select c.id from pgdial.calls c where c.ended_at is not null order by c.ended_at desc limit 40000) c
)
update pgdial.calls c
set state = 'failed', campaign = case when l.i % 2 = 0 then 'default' else 'lane_' || 1 + l.i % 20 end,
    outcome = (array['declined', 'busy', 'no_answer', 'unreachable'])[1 + l.i % 4]::pgdial.outcome,
    last_error = (array['declined', 'line busy', 'nobody answered', 'no route to +14155550100'])[1 + l.i % 4]
from latest l where c.id = l.id and l.i % 3 = 0;

with waits as (
    select c.id, row_number() over (order by c.id) as i from pgdial.calls c where c.state = 'waiting'
)
update pgdial.calls c
set campaign = 'lane_' || 1 + w.i % 20, priority = w.i % 3, attempt = w.i % 2, outcome = case when w.i % 2 = 1 then 'busy' end::pgdial.outcome,
    run_at = c.run_at + case when w.i % 4 = 0 then interval '1 day' else interval '0' end
from waits w where c.id = w.id and w.i % 5 = 0;

insert into pgdial.workers (id, host, pid, release, permits, trunks, started_at, seen_at)
select '00000000-0000-4000-8000-000000000002', 'lab', 1, 'lab', 30, '{default}', n.now, n.now + interval '1 day'
from (select pgdial.now() as now) n;

-- 20 slots in use, the first of them past its deadline.
with waits as (
    select c.id, row_number() over (order by c.run_at, c.id) as i
    from pgdial.calls c where c.state = 'waiting' and c.campaign = 'default' order by c.run_at, c.id limit 20
)
update pgdial.calls c
set state = 'in_call', attempt = 1, claim_no = 1, claimed_at = n.now, claimed_by = '00000000-0000-4000-8000-000000000002',
    trunk = 'default', deadline_at = n.now + case when w.i = 1 then interval '-1 second' else interval '30 minutes' end,
    started_at = n.now, provider_call_id = 'live-' || w.i
from waits w, (select pgdial.now() as now) n where c.id = w.id;

insert into pgdial.webhook_events (trunk, reference, event_id, received_at, last_delivery_at, verdict, try_at, report, body)
select 'default', 'r' || i, 'e' || i, t.at, t.at,
       case when i % 1000 = 0 then 'mismatch' when i % 1001 = 0 then 'parked' else 'applied' end, t.at,
       '{"status": "COMPLETED"}', '{"status": "COMPLETED"}'
from (select pgdial.now() as now) n
     cross join generate_series(1, $1::bigint) i
     cross join lateral (select n.now - i * interval '100 milliseconds' as at) t;
