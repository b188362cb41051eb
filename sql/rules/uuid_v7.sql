-- uuid_v7: a time-ordered id (RFC 9562, version 7) on the database's clock.
-- 48 bits of milliseconds over random bits, so that inserts land at one end of the index.
create or replace function pgdial.uuid_v7(p_at timestamptz) returns uuid
language sql volatile parallel safe
as $$
    select encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    placing substring(int8send((extract(epoch from p_at) * 1000)::bigint) from 3)
                    from 1 for 6),
            52, 1), 53, 1), 'hex')::uuid
$$;
