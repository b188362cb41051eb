-- The newest event's position, and the newest act. Either differs whenever there is a newer one.
-- Of the cursor xid and seq alone: while there is no event, its instant is that of the question.
-- Cost: one probe of each log.
select array_to_string((string_to_array(e.cursor, '-'))[4:5], '-') as event,
       coalesce((select max(a.seq) from pgdial.acts a), 0) as act
from pgdial.events_after('now', 0) e
