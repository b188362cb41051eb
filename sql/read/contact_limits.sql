-- Contact limits, as JSON.  $1 name, or null for all.
select jsonb_build_object(
    'name', l.name, 'counts', l.counts, 'atMost', l.at_most, 'period', pgdial.iso_8601(l.period), 'boundary', l.boundary,
    'per', l.per, 'regions', l.regions, 'allCampaigns', l.all_campaigns, 'presets', l.presets, 'source', l.source,
    'campaigns', array(select g.name from pgdial.campaigns g where g.contact_limits @> array[l.name] order by g.name)) as contact_limit
from pgdial.contact_limits l
where $1::text is null or l.name = $1
order by l.name
