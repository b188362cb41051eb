-- failures: how did the calls of the last 24 hours fail, and in whose words?
-- One row for each campaign, outcome and last error: how many, the latest, and one
-- call to look at (pgdial calls show ID).
-- Cost: reads the calls that ended in the last 24 hours, by the index of ended_at.
begin read only;
set local statement_timeout = '30s';

select c.campaign, c.outcome, left(c.last_error, 120) as last_error, count(*) as calls,
       max(c.ended_at) as latest, (array_agg(c.id order by c.ended_at desc))[1] as latest_call
from pgdial.calls c
where c.ended_at > (select pgdial.now()) - interval '24 hours' and c.state = 'failed'
group by c.campaign, c.outcome, left(c.last_error, 120)
order by calls desc, latest desc
limit 100;

commit;
