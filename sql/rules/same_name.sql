-- same_name: are these two provider ids equal? Providers write the same UUID in either case. Null: one is
-- missing.
create or replace function pgdial.same_name(p_one text, p_other text) returns boolean
language sql immutable
as $$
    select p_one = p_other
        or lower(p_one) = lower(p_other) and p_one ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
$$;

-- spellings: the spellings of the provider id that a row may have, for an index.
create or replace function pgdial.spellings(p_name text) returns text[]
language sql immutable
as $$
    select case when pgdial.same_name(lower(p_name), upper(p_name)) then array[p_name, lower(p_name), upper(p_name)]
                else array[p_name] end
$$;
