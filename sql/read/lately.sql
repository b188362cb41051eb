-- How calls ended lately, as one JSON object: of the latest 20,000 that ended within a day, how many per minute of the
-- last hour, and per campaign, by outcome, or by state where an outcome says less; and how fast each campaign's ended. since: of the oldest that is counted,
-- if there are more.
-- Cost: 20,000 finished calls.  Index: calls_ended.
with n as materialized (
    select pgdial.now() as now
), ended as materialized (
    select c.campaign, c.ended_at,
           case when c.state in ('completed', 'failed') then coalesce(c.outcome::text, c.state::text) else c.state::text end as word
    from pgdial.calls c
    where c.ended_at > (select n.now from n) - interval '24 hours'
    order by c.ended_at desc limit 20000
)
select jsonb_build_object(
    'now', n.now,
    'since', (select min(e.ended_at) from ended e having count(*) = 20000),
    'minutes', (select coalesce(jsonb_agg(jsonb_build_object('ago', m.ago, 'ends', m.ends) order by m.ago desc), '[]')
                from (select w.ago, jsonb_object_agg(w.word, w.calls) as ends
                      from (select floor(extract(epoch from n.now - e.ended_at) / 60)::int as ago, e.word, count(*) as calls
                            from ended e where e.ended_at > n.now - interval '1 hour' group by 1, 2) w
                      where w.ago between 0 and 59 group by w.ago) m),
    'campaigns', (select coalesce(jsonb_object_agg(g.campaign, g.ends), '{}')
                  from (select w.campaign, jsonb_object_agg(w.word, w.calls) as ends
                        from (select e.campaign, e.word, count(*) as calls from ended e group by 1, 2) w
                        group by w.campaign) g),
    'pace', (select coalesce(jsonb_object_agg(p.campaign, jsonb_build_object('calls', p.calls, 'since', p.since)), '{}')
             from (select e.campaign, count(*) as calls, min(e.ended_at) as since
                   from ended e where e.ended_at > n.now - interval '1 hour' group by e.campaign) p)) as lately
from n
