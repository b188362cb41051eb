-- waiting: which calls have been due for longest, and what stands in the way of each?
-- The 20 that are due, or fall due, first, each with the first reason of pgdial.why: once that is removed, the
-- next may appear.
-- Cost: 20 index entries per campaign and priority, and one pgdial.why per row.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

with head as (
    select h.id, h.phone, h.campaign, h.priority, h.run_at, h.attempt
    from pgdial.campaigns g
         cross join generate_series(0, 9) p
         cross join lateral (
             select c.id, c.phone, c.campaign, c.priority, c.run_at, c.attempt
             from pgdial.calls c
             where c.state = 'waiting' and c.campaign = g.name and c.priority = p::smallint
             order by c.run_at, c.id limit 20) h
    order by h.run_at, h.id limit 20
)
select h.id, left(h.phone, 4) || repeat('*', length(h.phone) - 6) || right(h.phone, 2) as number,
       h.campaign, h.priority, h.run_at as due_at,
       greatest(date_trunc('second', (select pgdial.now()) - h.run_at), '0') as overdue,
       h.attempt as attempts_made, w.reason as first_reason, w.message, w.until
from head h
     left join lateral (select y.reason, y.message, y.until from pgdial.why(h.id) y where y.ord = 1) w on true
order by h.run_at, h.id;

commit;
