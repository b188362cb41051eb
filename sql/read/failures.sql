-- The calls that ended as failed in a span, by outcome and the words of their last error, as JSON, most first.
-- $1 from. $2 before. $3 campaign or null. $4 trunk or null. $5 calls to visit at most, the latest. $6 groups at most.
-- counted_since: how far back the visited calls reach; null if they are all of the span.
-- Index: calls_ended, backwards.
with visited as materialized (
    select c.id, c.campaign, c.trunk, c.state, c.outcome, c.last_error, c.ended_at
    from pgdial.calls c
    where c.ended_at is not null and c.ended_at >= $1 and c.ended_at < $2
    order by c.ended_at desc
    limit $5
), reach as (
    select case when count(*) >= $5 then min(v.ended_at) end as counted_since, count(*) as visited from visited v
), alike as (
    -- First by the whole text: there are fewer texts than calls.
    select v.campaign, v.trunk, v.outcome, v.last_error, count(*) as calls, max(v.ended_at) as latest,
           (array_agg(v.id order by v.ended_at desc))[1] as latest_call
    from visited v
    where v.state = 'failed' and ($3::text is null or v.campaign = $3) and ($4::text is null or v.trunk = $4)
    group by v.campaign, v.trunk, v.outcome, v.last_error
), worded as materialized (
    select a.*, pgdial.error_words(a.last_error) as words from alike a
), grouped as (
    select w.outcome, w.words, sum(w.calls)::bigint as calls, max(w.latest) as latest,
           (array_agg(w.latest_call order by w.latest desc))[1] as latest_call,
           (array_agg(w.last_error order by w.latest desc))[1] as sample,
           array_agg(distinct w.campaign) as campaigns, array_agg(distinct w.trunk) filter (where w.trunk is not null) as trunks
    from worded w
    group by w.outcome, w.words
    order by calls desc, latest desc
    limit $6
)
select jsonb_build_object(
    'countedSince', r.counted_since, 'visited', r.visited,
    'groups', coalesce((select jsonb_agg(jsonb_build_object(
        'outcome', g.outcome, 'words', g.words, 'calls', g.calls, 'latest', g.latest, 'latestCall', g.latest_call,
        'sample', g.sample, 'campaigns', g.campaigns[1:5], 'trunks', coalesce(g.trunks[1:5], '{}'))
        order by g.calls desc, g.latest desc) from grouped g), '[]')) as failures
from reach r
