-- The do-not-call list, newest first, as JSON.  $1 limit.
select jsonb_build_object('phone', d.phone, 'reason', d.reason, 'by', d.by, 'at', d.at) as entry
from pgdial.do_not_call d
order by d.at desc
limit $1
