-- New waiting calls with their events: one statement, one commit. $1 ids, $2 numbers, $3
-- metadata, $4 hashes.
with new as (
    insert into bare.calls (id, phone, campaign, script_id, metadata, run_at, max_attempts, owner, request_hash, created_at)
    select a.id, a.phone, 'default', 'welcome', a.metadata::jsonb, n.now, 3, 'lab', a.request_hash, n.now
    from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) as a (id, phone, metadata, request_hash),
         (select clock_timestamp() as now) n
    returning id, claim_no, attempt, run_at, created_at
)
insert into bare.call_events (at, call_id, claim_no, attempt, kind, detail)
select n.created_at, n.id, n.claim_no, n.attempt, 'waiting', jsonb_build_object('by', 'lab', 'run_at', n.run_at)
from new n
