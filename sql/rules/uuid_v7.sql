-- uuid_v7: a time-ordered id (RFC 9562, version 7) on the database's clock.
-- 48 bits of milliseconds, 12 bits of their fraction (section 6.2, method 3: so that ids
-- of different microseconds sort by time), then random bits.
create or replace function pgdial.uuid_v7(p_at timestamptz) returns uuid
language sql volatile parallel safe
as $$ select pgdial.uuid_v7_of((extract(epoch from p_at) * 1000000)::bigint) $$;

-- The same from microseconds since 1970; written so that Postgres can inline it.
create or replace function pgdial.uuid_v7_of(p_us bigint) returns uuid
language sql volatile parallel safe
as $$
    select encode(int8send((p_us / 1000 << 16) | x'7000'::bigint | (p_us % 1000 * 4096 / 1000))
                  || substring(uuid_send(gen_random_uuid()) from 9), 'hex')::uuid
$$;
