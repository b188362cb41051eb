-- Calendars with their days and the calling hours that name them, as JSON.  $1 name, or null for all
select jsonb_build_object(
    'name', c.name, 'firstDay', lower(c.covers), 'lastDay', upper(c.covers) - 1, 'source', c.source,
    'days', coalesce((
        select jsonb_agg(jsonb_build_object('day', d.day, 'name', d.name, 'hours', pgdial.slots_text(d.hours)) order by d.day)
        from pgdial.special_days d where d.calendar = c.name), '[]'),
    'callingHours', to_jsonb(pgdial.users_of_calendar(c.name))) as calendar
from pgdial.calendars c
where $1::text is null or c.name = $1
order by c.name
