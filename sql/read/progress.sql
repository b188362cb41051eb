-- How far a campaign is, as JSON: its waiting calls, those that are over by state, each counted up to 50,001, and how
-- long the waiting ones take.  $1 its name.
-- Index: calls_claimable, calls_over.
select jsonb_build_object(
    'waiting', w.n,
    'over', (select jsonb_object_agg(s.state, (
                 select count(*) from (select from pgdial.calls c
                                       where c.ended_at is not null and c.campaign = g.name and c.state = s.state limit 50001) o))
             from unnest(array['completed', 'failed', 'canceled', 'expired', 'suppressed']::pgdial.call_state[]) s (state)),
    'estimate', pgdial.estimate_of(g, w.n)) as progress
from pgdial.campaigns g
     cross join lateral (select count(*) as n from (select from pgdial.calls c
                                                    where c.state = 'waiting' and c.campaign = g.name limit 50001) c) w
where g.name = $1
