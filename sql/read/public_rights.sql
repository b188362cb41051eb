-- What PUBLIC may do in the schema pgdial, which must be nothing, and the statement that revokes it. A restore
-- without access privileges opens every function, including the verbs that run as the owner.
-- is_ours: granted by the schema's owner, so that `pgdial migrate` can revoke it.
-- Also default privileges that would open what the owner makes later: those in the schema, and those of tables
-- and sequences everywhere; `migrate` itself closes the functions and types that it makes.
with home as (
    select n.oid, n.nspowner from pg_namespace n where n.nspname = 'pgdial'
), thing (what, statement, owner, acl) as (
    select 'schema pgdial', 'schema pgdial', n.nspowner, n.nspacl
    from home h join pg_namespace n on n.oid = h.oid
    union all
    select case c.relkind when 'S' then 'sequence ' else 'table ' end || c.oid::regclass,
           case c.relkind when 'S' then 'sequence ' else 'table ' end || c.oid::regclass, c.relowner, c.relacl
    from home h join pg_class c on c.relnamespace = h.oid
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'routine ' || p.oid::regprocedure, 'routine ' || p.oid::regprocedure, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    from home h join pg_proc p on p.pronamespace = h.oid
    union all
    select 'type ' || t.oid::regtype, 'type ' || t.oid::regtype, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
    from home h join pg_type t on t.typnamespace = h.oid
    where t.typtype in ('e', 'd', 'r') or t.typtype = 'c' and exists (select from pg_class k where k.oid = t.typrelid and k.relkind = 'c')
), given as (
    select t.what, t.owner, x.privilege_type, format('revoke all on %s from public', t.statement) as revoke
    from thing t, aclexplode(t.acl) x where x.grantee = 0
    union all
    select format('column %s.%I', c.oid::regclass, a.attname), c.relowner, x.privilege_type,
           format('revoke all (%I) on %s from public', a.attname, c.oid::regclass)
    from home h join pg_class c on c.relnamespace = h.oid join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) x
    where x.grantee = 0
    union all
    select format('%s that %I makes later%s', k.what, d.defaclrole::regrole, case when d.defaclnamespace = 0 then '' else ' in pgdial' end),
           case when d.defaclnamespace <> 0 then d.defaclrole end, x.privilege_type,
           format('alter default privileges for role %s%s revoke all on %s from public', d.defaclrole::regrole,
                  case when d.defaclnamespace = 0 then '' else ' in schema pgdial' end, k.what)
    from home h join pg_default_acl d on d.defaclrole = h.nspowner and d.defaclnamespace in (0, h.oid)
         join (values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions'), ('T', 'types')) k (kind, what) on k.kind = d.defaclobjtype,
         aclexplode(d.defaclacl) x
    where x.grantee = 0 and (d.defaclnamespace <> 0 or d.defaclobjtype in ('r', 'S'))
)
select g.what || ' (' || string_agg(lower(g.privilege_type), ', ' order by g.privilege_type) || ')' as what, g.revoke,
       coalesce(g.owner = (select h.nspowner from home h), false) as is_ours
from given g group by g.what, g.revoke, g.owner order by 1
