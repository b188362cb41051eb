-- $1 campaigns on the trunk `default`; each hundredth has 20 due calls.
with new as (
    insert into pgdial.campaigns (name, trunk)
    select 'campaign-' || i, 'default' from generate_series(1, $1::bigint) i
)
insert into pgdial.calls (id, phone, campaign, script_id, metadata, run_at, max_attempts, owner, request_hash, created_at, area)
select pgdial.uuid_v7(n.at), '+1' || (6000000000 + i * 100 + k), 'campaign-' || i, 'welcome', jsonb_build_object('order', k),
       n.at - interval '1 minute', 3, 'lab', sha256(int8send(i * 100 + k)), n.at, pgdial.phone_area('+1' || (6000000000 + i * 100 + k))
from (select pgdial.now()) n (at)
     cross join generate_series(100, $1::bigint, 100) i
     cross join generate_series(1, 20) k
