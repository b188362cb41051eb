-- number: what happened with the calls to this number?
-- The latest 50 calls to it, or to the same person at other numbers: state, attempts, how the last one ended and with
-- what error, and for a waiting call what stands in its way now (the first reason of pgdial.why).
-- Takes a number in E.164. psql: \set phone +14155550100 before \i number.sql; pgdial: pgdial ops number
-- +14155550100, which binds it as the statement's parameter.
-- Cost: the latest 50 calls to the number by its index, and one pgdial.why per waiting call.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select c.id, left(c.phone, 4) || repeat('*', length(c.phone) - 6) || right(c.phone, 2) as number,
       c.campaign, c.state, c.attempt, c.outcome, pgdial.masked(left(c.last_error, 120)) as last_error,
       date_trunc('second', c.created_at) as created_at, date_trunc('second', c.run_at) as run_at,
       date_trunc('second', c.claimed_at) as last_claimed_at, date_trunc('second', c.answered_at) as answered_at,
       date_trunc('second', c.ended_at) as ended_at, date_trunc('second', c.hold_until) as number_held_until,
       w.reason as first_reason, w.message
from (select p.* from pgdial.calls p
      where p.id in (select a.id from pgdial.calls a where a.phone = :'phone'
                     union select b.id from pgdial.calls b where b.numbers @> array[:'phone'])
      order by p.id desc limit 50) c
     left join lateral (select y.reason, y.message from pgdial.why(c.id) y where y.ord = 1) w on c.state = 'waiting'
order by c.id desc;

commit;
