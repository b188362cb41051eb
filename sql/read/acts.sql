-- What people did to the queue, newest first, as JSON.
-- $1 act or null  $2 kind or null  $3 name or null  $4 who, with or without the door (api:crm, crm), or null
-- $5 at or after this instant, or null  $6 before this instant, or null
-- $7 below this seq, or null
-- $8 limit. Index: primary key backwards, or acts_of if a kind and a name are given.
select jsonb_build_object(
    'seq', a.seq, 'at', a.at, 'by', a.by, 'login', a.login, 'act', a.act, 'kind', a.kind, 'name', a.name,
    'why', a.why, 'detail', a.detail) as act
from pgdial.acts a
where ($1::text is null or a.act = $1)
  and ($2::text is null or a.kind = $2)
  and ($3::text is null or a.name = $3)
  and ($4::text is null or a.by = $4 or right(a.by, length($4) + 1) = ':' || $4)
  and ($5::timestamptz is null or a.at >= $5)
  and ($6::timestamptz is null or a.at < $6)
  and ($7::bigint is null or a.seq < $7)
order by a.seq desc
limit $8
