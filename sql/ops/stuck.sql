-- stuck: which calls are overdue, in doubt, still up after a cancel request, or needlessly hold a number?
-- Past their lease or deadline; and numbers held because nobody knows how the dial ended. At most the 1,000
-- oldest.
-- To free a held number that you know is over: select pgdial.release(id, why).
-- Cost: bounded by the calls in flight and the numbers held; two partial indexes.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select s.id, left(s.phone, 4) || repeat('*', length(s.phone) - 6) || right(s.phone, 2) as number,
       s.campaign, s.trunk, s.state, s.why, pgdial.masked(s.last_error) as last_error, s.attempt,
       s.claimed_at, s.deadline_at, s.hold_until as number_held_until
from pgdial.stuck_calls s
order by coalesce(s.deadline_at, s.hold_until)
limit 1000;

commit;
