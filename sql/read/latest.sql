-- The newest event and the newest act, as a text that changes whenever there is a newer one.
-- Cost: one probe of each log.
select array_to_string((string_to_array(e.cursor, '-'))[4:5], '-') || ' ' || coalesce((select max(a.seq) from pgdial.acts a), 0) as latest
from pgdial.events_after('now', 0) e
