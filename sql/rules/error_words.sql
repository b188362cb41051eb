-- error_words: what an error says, without what differs from call to call: ids, numbers and amounts are "…". Calls that
-- failed alike have the same words. A number of three digits stays, and one after code, error or status: they say what
-- went wrong. No error: `no words`.
--   select pgdial.error_words('call 9f2c11d8a0 to +14155550100: 503 after 3012 ms');   -- call … to …: 503 after … ms
create or replace function pgdial.error_words(p_error text) returns text
language sql immutable parallel safe
as $$
    select coalesce(regexp_replace(left(nullif(p_error, ''), 300),
        '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'     -- an id
        || '|[+(]{0,2}[0-9](?:[ ().-]{0,2}[0-9]){6,}'                             -- a telephone number
        || '|\m(?=[[:alpha:]_]*[0-9])[[:alnum:]_]{8,}'                      -- letters and digits mixed: an id
        || '|(?<!(code|error|status)[ :=#(]{0,2})\m(?:[0-9]{1,2}|[0-9]{4,})(?:\.[0-9]+)?\M',
        '…', 'gi'), 'no words')
$$;
