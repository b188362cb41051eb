-- The schema, its own history, and the only clock.

create schema pgdial;
comment on schema pgdial is 'pgdial: outbound calls from a queue in Postgres';

-- One row for each migration, and one for each time a release applied the functions.
create table pgdial.schema_history (
    seq bigint generated always as identity primary key,
    kind text not null check (kind in ('migration', 'functions')),
    version int not null,                 -- the newest migration that it knows
    name text not null,
    digest text not null,                 -- sha256 of the text that was applied
    release text not null,                -- the release of pgdial that applied it
    compatible_from int not null,         -- binaries that know at least this migration may run
    applied_at timestamptz not null default clock_timestamp(),
    applied_by text not null default session_user
);

-- Real time plus an offset that tests may move; in production the offset stays zero.
create table pgdial.clock (
    only_row boolean primary key default true check (only_row),
    ahead interval not null default '0'
);
insert into pgdial.clock default values;

-- The time that every decision rests on. It is volatile (clock_timestamp, not the
-- start of the transaction): a claim that waited at the gate must not spend its
-- lease there. So never write it bare in a WHERE, where it would cost the index
-- bound: read it once into a variable, or write (select pgdial.now()).
create function pgdial.now() returns timestamptz
language sql volatile parallel safe
as $$ select clock_timestamp() + (select c.ahead from pgdial.clock c) $$;
