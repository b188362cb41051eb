-- Calling hours with the campaigns that have them, as JSON.  $1 name, or null for all; of dated ones the name alone
-- is the newest.
select jsonb_build_object(
    'name', h.name, 'week', pgdial.hours_text(h.week), 'timezone', h.timezone, 'calendar', h.calendar,
    'zoneBasis', h.zone_basis, 'source', h.source,
    'regions', coalesce((
        select jsonb_object_agg(r.region, jsonb_build_object('week', pgdial.hours_text(r.week), 'timezone', r.timezone,
                                                             'calendar', r.calendar, 'source', r.source))
        from pgdial.calling_hours_regions r where r.hours = h.name), '{}'),
    'campaigns', coalesce((select jsonb_agg(g.name order by g.name) from pgdial.campaigns g where g.calling_hours = h.name), '[]')) as hours
from pgdial.calling_hours h
where $1::text is null or h.name = pgdial.hours_named($1)
order by h.name
