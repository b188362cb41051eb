-- $1 dials of a week, of $2 numbers.
insert into pgdial.dials (phone, at, campaign, call_id, claim_no)
select '+1212' || lpad((1000000 + i % $2::bigint)::text, 7, '0'), pgdial.now() - i * interval '7 days' / $1::bigint, 'other',
       '00000000-0000-4000-8000-000000000000', i
from generate_series(0, $1::bigint - 1) i
