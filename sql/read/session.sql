-- The key of a session, as its hash, while the session lasts.  $1 hash of the session's secret.  Index: primary key.
select s.key_hash from pgdial.sessions s where s.hash = $1 and s.expires_at > pgdial.now()
