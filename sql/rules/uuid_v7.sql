-- uuid_v7: a time-ordered id (RFC 9562, version 7) on the database's clock.
-- 48 bits of milliseconds, 12 bits of their fraction (section 6.2, method 3: so that ids
-- of different microseconds sort by time), then random bits.
create or replace function pgdial.uuid_v7(p_at timestamptz) returns uuid
language sql volatile parallel safe
as $$
    select encode(
        set_byte(set_byte(
            overlay(uuid_send(gen_random_uuid())
                    placing substring(int8send(t.us / 1000) from 3) from 1 for 6),
            6, (112 | (t.fraction >> 8))::int), 7, (t.fraction & 255)::int), 'hex')::uuid
    from (select m.us, m.us % 1000 * 4096 / 1000 as fraction
          from (select (extract(epoch from p_at) * 1000000)::bigint as us) m) t
$$;
