-- Keys of the API, and the sessions of people who signed in with one. No key and no cookie is here, only SHA-256 of
-- them: they are random, so a hash tells nothing.

-- A rotation adds a row of the same name. No row is ever removed: once there was a key, a server asks for one
-- (src/http/auth/directory.rs), and must not open again when the last one ends.
create table pgdial.keys (
    id bigint generated always as identity primary key,                                         -- a rotation makes a new one
    name text not null check (name ~ '^[A-Za-z0-9._-]{1,60}$'),                             -- whom or what it is for, as acts name it
    hash bytea not null unique check (octet_length(hash) = 32),                              -- SHA-256
    hint text not null,
    scope text not null check (scope in ('read', 'enqueue', 'operate', 'admin')),                 -- what it may do; each includes those before it
    campaigns text[] check (campaigns <> '{}' and array_position(campaigns, null) is null),   -- null: all
    numbers text not null default 'masked' check (numbers in ('masked', 'on_request', 'whole')),
    created_at timestamptz not null default pgdial.now(),                                       -- when it was made
    created_by text not null default session_user,                                              -- who made it
    expires_at timestamptz,                                                                     -- null: never
    revoked_at timestamptz,                                                                     -- valid no more since
    used_at timestamptz
);
comment on column pgdial.keys.hint is 'how the key begins, to tell which one somebody has found';
comment on column pgdial.keys.campaigns is 'it may do nothing that is not about one of these';
comment on column pgdial.keys.numbers is 'whether it sees numbers, metadata and results: never, when it gives a reason, always';
comment on column pgdial.keys.used_at is 'to the minute';
create index keys_by_name on pgdial.keys (name);

-- A session is as valid as the key that it was opened with, of whichever source that is.
create table pgdial.sessions (
    hash bytea primary key check (octet_length(hash) = 32),          -- SHA-256 of the cookie's secret
    key_hash bytea not null check (octet_length(key_hash) = 32),     -- SHA-256 of the key
    opened_at timestamptz not null default pgdial.now(),             -- when somebody signed in
    expires_at timestamptz not null                                  -- when it ends by itself
);
create index sessions_expired on pgdial.sessions (expires_at);
