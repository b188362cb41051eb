-- normal_phone: a number as people write it, in E.164; null when it is none.
-- Drops spaces, dots, hyphens, slashes and parentheses; the + is required.
-- The same rule as Phone::parse in src/domain/phone.rs; a test holds them together.
-- Written so that Postgres can put it into the statement: null in, null out, but not strict.
create or replace function pgdial.normal_phone(p_text text) returns text
language sql immutable parallel safe
as $$
    select case when p_text ~ '^[+][1-9][0-9]{6,14}$' then p_text   -- most are in their form already
                when translate(p_text, ' .-()/', '') ~ '^[+][1-9][0-9]{6,14}$' then translate(p_text, ' .-()/', '') end
$$;
