-- The statements that give our objects these comments, where they have others. A column of a view that is not among
-- them means what the column of that name means in the table that the view reads, if it reads one only.
-- $1 to $4, in parallel: kind, name, column (empty: the object itself), comment.
with ours as (
    select n.oid from pg_namespace n where n.nspname = 'pgdial'
), given as (
    select g.kind, g.name, g.field, g.said from unnest($1::text[], $2::text[], $3::text[], $4::text[]) g (kind, name, field, said)
), inherited as (
    select v.relname as name, b.attname as field, min(g.said) as said
    from pg_class v
         join pg_rewrite r on r.ev_class = v.oid
         join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                         and d.refclassid = 'pg_class'::regclass and d.refobjid <> v.oid and d.refobjsubid > 0
         join pg_class t on t.oid = d.refobjid
         join pg_attribute b on b.attrelid = d.refobjid and b.attnum = d.refobjsubid
         join given g on g.kind = 'column' and g.name = t.relname and g.field = b.attname
    where v.relkind = 'v' and v.relnamespace in (select o.oid from ours o)
      and not exists (select from given l where l.kind = 'column' and l.name = v.relname and l.field = b.attname)
    group by v.relname, b.attname
    having count(distinct g.said) = 1
), wanted (kind, target, present, said) as (
    select g.kind, p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc'), g.said
    from given g join pg_proc p on p.proname = g.name
    where g.kind = 'function' and p.pronamespace in (select o.oid from ours o)
    union all
    select g.kind, k.oid::regclass::text, obj_description(k.oid, 'pg_class'), g.said
    from given g join pg_class k on k.relname = g.name
    where (g.kind = 'table' and k.relkind in ('r', 'p') or g.kind = 'view' and k.relkind = 'v')
      and k.relnamespace in (select o.oid from ours o)
    union all
    select g.kind, t.oid::regtype::text, obj_description(t.oid, 'pg_type'), g.said
    from given g join pg_type t on t.typname = g.name
    where g.kind = 'type' and t.typnamespace in (select o.oid from ours o)
    union all
    select 'column', format('%s.%I', k.oid::regclass, a.attname), col_description(k.oid, a.attnum), c.said
    from (select g.name, g.field, g.said from given g where g.kind = 'column' union all select i.name, i.field, i.said from inherited i) c
         join pg_class k on k.relname = c.name
         join pg_attribute a on a.attrelid = k.oid and a.attname = c.field
    where a.attnum > 0 and k.relkind in ('r', 'p', 'v') and k.relnamespace in (select o.oid from ours o)
)
select format('comment on %s %s is %L', w.kind, w.target, w.said)
from wanted w
where w.present is distinct from w.said
