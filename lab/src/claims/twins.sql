-- One call to $1 that is up, and $2 that wait for the same number since yesterday.
with up as (
    insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, state, attempt, claim_no, claimed_at,
        claimed_by, deadline_at, trunk, provider_call_id, answered_at, owner, request_hash, created_at, started_at)
    select pgdial.uuid_v7(n.at), $1, 'default', 'welcome', n.at, 3, 'in_call', 1, 1, n.at,
           '00000000-0000-4000-8000-000000000001', n.at + interval '6 hours', 'default', 'lab-up', n.at, 'lab',
           sha256('up'), n.at, n.at
    from (select pgdial.now()) n (at)
)
insert into pgdial.calls (id, phone, campaign, script_id, metadata, run_at, max_attempts, owner, request_hash, created_at, area)
select pgdial.uuid_v7(t.at), $1, 'default', 'welcome', jsonb_build_object('order', i), t.at, 3, 'lab', sha256(int8send(i)), t.at, pgdial.phone_area($1)
from (select pgdial.now() - interval '1 day' as start) s
     cross join generate_series(1, $2::bigint) i
     cross join lateral (select s.start + i * interval '1 microsecond' as at) t
