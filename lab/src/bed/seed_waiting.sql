-- The waiting calls number $1 to $2 as enqueue leaves them: due now, a microsecond apart. Their
-- numbers jump about as those of real lists do, and none comes twice (see `number`).
with new as (
    insert into pgdial.calls (id, phone, campaign, script_id, metadata, run_at, max_attempts, owner, request_hash, created_at, area)
    select pgdial.uuid_v7(t.at), '+1' || (2000000000 + i * 48271 % 99999989), 'default', 'welcome',
           jsonb_build_object('name', 'Person ' || i, 'order', i), t.at, 3, 'lab', sha256(int8send(i)), t.at, pgdial.phone_area('+1' || (2000000000 + i * 48271 % 99999989))
    from (select pgdial.now() - ($2::bigint - $1::bigint) * interval '1 microsecond' as start) s
         cross join generate_series($1::bigint, $2::bigint - 1) i
         cross join lateral (select s.start + (i - $1::bigint) * interval '1 microsecond' as at) t
    returning id, claim_no, attempt, run_at, created_at
)
insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
select n.created_at, n.id, n.claim_no, n.attempt, 'waiting', jsonb_build_object('by', 'lab', 'run_at', n.run_at)
from new n
