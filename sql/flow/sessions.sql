-- open_session, end_session: sessions of people who signed in with a key. The cookie's secret is returned once, and only
-- its hash is stored. What a session may do, its key says, at each request (src/http/auth/session.rs).

-- open_session: a new one, for p_life. p_key: the name of the key, for the audit; p_key_hash: SHA-256 of the key.
-- Sessions that have expired go at this occasion.
create or replace function pgdial.open_session(
    p_key text, p_key_hash bytea, p_life interval, p_by text default session_user, out secret text, out expires_at timestamptz
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := pgdial.now();
begin
    delete from pgdial.sessions s
    where s.hash in (select o.hash from pgdial.sessions o where o.expires_at <= v_now
                     order by o.expires_at limit 1000 for update skip locked);
    secret := pgdial.new_key();
    expires_at := v_now + p_life;
    insert into pgdial.sessions (hash, key_hash, opened_at, expires_at)
    values (pgdial.hash_of_key(secret), p_key_hash, v_now, expires_at);
    perform pgdial.note_act('sign_in', 'key', p_key, p_by, null);
end $$;

-- end_session: returns whether there was one.
create or replace function pgdial.end_session(p_hash bytea) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgdial.sessions s where s.hash = p_hash and s.expires_at > pgdial.now();
    return found;
end $$;
