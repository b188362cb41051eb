-- verbs: the functions that people and programs may call from SQL. Every other function of the schema is for pgdial
-- itself, and its comment begins with "internal: "; a release may change those as it likes.
--   name       what is called, as pgdial.name(...)
--   arguments  with their types and defaults
--   returns    what type, or the columns of a table
--   about      what it does, with an example
create or replace view pgdial.verbs as
select p.proname::text as name, pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as returns,
       obj_description(p.oid, 'pg_proc') as about
from pg_proc p
where p.pronamespace = 'pgdial'::regnamespace and obj_description(p.oid, 'pg_proc') not like 'internal: %'
order by p.proname, p.pronargs;
