-- Worker processes as JSON, the latest first.  Index: calls_in_flight.
select jsonb_build_object(
    'id', w.id, 'host', w.host, 'pid', w.pid, 'release', w.release, 'permits', w.permits, 'trunks', w.trunks,
    'startedAt', w.started_at, 'seenAt', w.seen_at, 'stopping', w.stopping, 'draining', w.draining,
    'alive', a.id is not null,
    'inFlight', coalesce(f.n, 0)) as worker
from pgdial.workers w
     left join pgdial.live_workers a on a.id = w.id
     left join (select c.claimed_by, count(*) as n from pgdial.calls c
                where c.state in ('dialing', 'unresolved', 'in_call') group by c.claimed_by) f on f.claimed_by = w.id
order by w.started_at desc, w.id
