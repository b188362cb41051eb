-- Which numbers have a call waiting or in flight in their campaign: their ordinals from 1, and one such call.
-- $1 numbers  $2 campaigns  $3 the owner of the keys  $4 their keys, or nulls: a number whose own key is known
-- is left out, since enqueue returns its call.
-- Index: calls_phone. Cost: the calls of each number.
select i.n, c.id
from unnest($1::text[], $2::text[], $4::text[]) with ordinality as i (phone, campaign, key, n)
     cross join lateral (
         select (array_agg(c.id order by c.id))[1] as id,
                coalesce(bool_or(c.owner = $3 and c.idempotency_key = i.key), false) as is_it
         from pgdial.calls c
         where c.phone = i.phone and c.campaign = i.campaign
           and c.state in ('waiting', 'dialing', 'unresolved', 'in_call')) c
where c.id is not null and not c.is_it
order by i.n
