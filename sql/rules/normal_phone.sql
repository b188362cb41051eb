-- normal_phone: a number as people write it, in E.164; null when it is none.
-- Drops spaces, dots, hyphens, slashes and parentheses; the + is required.
-- The same rule as Phone::parse in src/domain/phone.rs; a test holds them together.
create or replace function pgdial.normal_phone(p_text text) returns text
language sql immutable strict parallel safe
as $$
    select p from (select translate(p_text, ' .-()/', '')) as t (p)
    where p ~ '^\+[1-9][0-9]{6,14}$' and p !~ '[\n\r]'
$$;
