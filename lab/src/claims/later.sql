-- $1 calls to numbers of their own that are due from an hour on, a tenth of a second apart.
insert into pgdial.calls (id, phone, campaign, script_id, metadata, run_at, max_attempts, owner, request_hash, created_at, area)
select pgdial.uuid_v7(n.at), '+1' || (6000000000 + i), 'default', 'welcome', jsonb_build_object('order', i),
       n.at + interval '1 hour' + i * interval '100 milliseconds', 3, 'lab', sha256(int8send(i)), n.at, pgdial.phone_area('+1' || (6000000000 + i))
from (select pgdial.now()) n (at) cross join generate_series(1, $1::bigint) i
