-- error_words: what an error says, without what differs from call to call: ids, telephone numbers and amounts are "…".
-- Calls that failed alike have the same words. Numbers of three or five digits stay, unless a unit of time follows: they
-- are mostly codes that say what went wrong. No error: `no words`.
--   select pgdial.error_words('call 9f2c11d8a0 to +14155550100: 503 after 3012 ms');   -- call … to …: 503 after …
-- Without looking ahead or behind, which makes a pattern several times slower.
create or replace function pgdial.error_words(p_error text) returns text
language sql immutable parallel safe
as $$
    select coalesce(regexp_replace(left(nullif(p_error, ''), 300),
        '[+(]*[0-9](?:[ ().-]{0,2}[0-9]){6,}'                  -- a telephone number
        || '|[[:<:]][0-9]+ ?(?:ms|s|sec|min|h)[[:>:]]'                    -- a duration
        || '|[[:<:]](?:[0-9]{1,2}|[0-9]{4}|[0-9]{6,}'                -- another number
        || '|[A-Za-z_]+[0-9][A-Za-z0-9_]*|[0-9]+[A-Za-z_][A-Za-z0-9_]*)'   -- letters and digits: an id
        || '(?:-[A-Za-z0-9_]+)*[[:>:]]',
        '…', 'g'), 'no words')
$$;
