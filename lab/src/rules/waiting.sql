-- $1 due calls, a microsecond apart, over $2 campaigns on the trunk `default` (rules-1 and on) and $3 places: area codes
-- of North America and other countries, in turn.
with place as (
    select p.prefix, row_number() over () - 1 as nth
    from unnest(array['+1212', '+1312', '+1303', '+1213', '+1907', '+1808', '+1416', '+1709', '+1604', '+1902', '+1787', '+1602',
                      '+1305', '+1214', '+1702', '+1503', '+1404', '+1313', '+1504', '+1615', '+1801', '+1919', '+1401', '+1860',
                      '+4930', '+4420', '+3314', '+3491', '+9180', '+5511']) p (prefix)
), new as (
    insert into pgdial.campaigns (name, trunk, guard) select 'rules-' || i, 'default', null from generate_series(1, $2::bigint) i
    on conflict do nothing
)
insert into pgdial.calls (id, phone, campaign, script_id, metadata, run_at, max_attempts, owner, request_hash, created_at, area)
select pgdial.uuid_v7(t.at), n.phone, 'rules-' || 1 + i / $3::bigint % $2::bigint, 'welcome', '{}', t.at, 3, 'lab', sha256(int8send(i)), t.at,
       pgdial.phone_area(n.phone)
from (select pgdial.now() - interval '1 minute' as start) s
     cross join generate_series(0, $1::bigint - 1) i
     join place p on p.nth = i % $3::bigint
     cross join lateral (select p.prefix || lpad((1000000 + i)::text, 7, '0') as phone) n
     cross join lateral (select s.start + i * interval '1 microsecond' as at) t
