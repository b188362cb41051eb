-- caller_ids: how often is each caller id dialled from, and answered?
-- One row per number of a pool: its latest dials of 24 hours, up to 5,000: how many ended, how many of those were
-- answered by a person or by a machine, and the share that was; what is left of its daily cap, and whether it is
-- paused or rests. A share far below those of its pool: carriers may show the number as spam.
-- Cost: up to 5,000 dials of each number.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

select k.pool, k.trunk, left(k.number, 4) || repeat('*', length(k.number) - 6) || right(k.number, 2) as number, d.dials, d.ended, d.answered, d.voicemails,
       case when d.ended > 0 then round(100.0 * d.answered / d.ended, 1) end as answered_percent,
       case when k.daily_cap is not null then greatest(k.daily_cap - d.dials, 0) end as left_of_cap,
       case when k.paused then 'paused by ' || k.paused_by || ': ' || coalesce(pgdial.masked(k.paused_why), 'no reason given')
            when k.rest_until > n.now then 'rests until ' || pgdial.in_utc(k.rest_until)
            when d.dials >= k.daily_cap then 'its daily cap is used up'
            else 'in use' end as state
from (select pgdial.now() as now) n, pgdial.caller_ids k
     cross join lateral (
         select count(*) as dials, count(l.outcome) as ended, count(*) filter (where l.outcome = 'answered') as answered,
                count(*) filter (where l.outcome = 'voicemail') as voicemails
         from (select x.outcome from pgdial.dials x
               where x.from_number = k.number and x.at > n.now - '24 hours'::interval
               order by x.at desc limit 5000) l) d
order by k.pool, answered_percent nulls last, k.number
limit 500;

commit;
