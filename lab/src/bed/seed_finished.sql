-- Finished calls number $1 to $2, spread over the last day, with the three events of a life:
-- waiting, active, completed.
with new as (
    insert into pgdial.calls (
        id, phone, campaign, script_id, metadata, run_at, max_attempts, state, attempt, claim_no, claimed_at,
        claimed_by, trunk, provider_call_id, answered_at, outcome, owner, request_hash, created_at, started_at, ended_at)
    select pgdial.uuid_v7(t.at), '+1' || (3000000000 + i * 48271 % 99999989), 'default', 'welcome',
           jsonb_build_object('name', 'Person ' || i, 'order', i), t.at, 3, 'completed', 1, 1, t.at + interval '1 second',
           '00000000-0000-4000-8000-000000000001', 'default', 'seed-' || i, t.at + interval '2 seconds', 'answered',
           'lab', sha256(int8send(i)), t.at, t.at + interval '1 second', t.at + interval '30 seconds'
    from (select pgdial.now() - interval '1 day' as start) s
         cross join generate_series($1::bigint, $2::bigint) i
         -- 5 million within 23 hours.
         cross join lateral (select s.start + i * interval '16 milliseconds' as at) t
    returning id, run_at, created_at, started_at, ended_at, provider_call_id
)
insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
select e.at, n.id, e.claim_no, e.attempt, e.kind, e.detail
from new n cross join lateral (values
    (n.created_at, 0, 0, 'waiting', jsonb_build_object('by', 'lab', 'run_at', n.run_at)),
    (n.started_at, 1, 1, 'active', jsonb_build_object('trunk', 'default', 'run_at', n.run_at,
                                                     'worker', '00000000-0000-4000-8000-000000000001')),
    (n.ended_at, 1, 1, 'completed', jsonb_build_object('outcome', 'answered', 'provider_call_id', n.provider_call_id))
) e (at, claim_no, attempt, kind, detail)
