-- same_name: are these two names one? Providers write the same UUID in either case. Null: one is missing.
create or replace function pgdial.same_name(p_one text, p_other text) returns boolean
language sql immutable
as $$
    select p_one = p_other
        or lower(p_one) = lower(p_other) and p_one ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
$$;

-- spellings: the name as it may stand in a row, for an index.
create or replace function pgdial.spellings(p_name text) returns text[]
language sql immutable
as $$
    select case when pgdial.same_name(lower(p_name), upper(p_name)) then array[p_name, lower(p_name), upper(p_name)]
                else array[p_name] end
$$;
