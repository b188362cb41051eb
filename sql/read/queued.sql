-- Which requests go to somebody who has a call waiting or in flight in their campaign: their places, and one such
-- call.
-- A row per number: $1 the place of its request  $2 the number  $3 the campaign  $4 the owner of the keys
-- $5 the request's key, or null: a request whose own key is known is left out, since enqueue returns its call.
-- Index: calls_phone, calls_numbers. Cost: the calls of each number.
select i.place, (array_agg(c.id order by c.id))[1]
from unnest($1::bigint[], $2::text[], $3::text[], $5::text[]) as i (place, phone, campaign, key)
     cross join lateral (
         select c.id, coalesce(c.owner = $4 and c.idempotency_key = i.key, false) as is_it
         from (select o.* from pgdial.calls o where o.phone = i.phone
               union all
               select o.* from pgdial.calls o where o.numbers @> array[i.phone] and o.phone <> i.phone) c
         where c.campaign = i.campaign and c.state in ('waiting', 'dialing', 'unresolved', 'in_call')) c
group by i.place having not bool_or(c.is_it)
order by i.place
