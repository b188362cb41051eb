-- The do-not-call list, newest first, as JSON; without entries that are over.  $1 number, or null for all  $2 limit.
-- Index: primary key, of a number.
select jsonb_build_object(
    'phone', d.phone, 'topic', nullif(d.topic, ''), 'campaign', nullif(d.campaign, ''), 'until', d.until,
    'reason', d.reason, 'by', d.by, 'at', d.at) as entry
from pgdial.do_not_call d
where (d.until is null or d.until > (select pgdial.now())) and ($1::text is null or d.phone = $1)
order by d.at desc
limit $2
