-- Caller ids: the numbers that calls are dialled from, in pools that campaigns name.

create table pgdial.caller_ids (
    number text primary key check (number ~ '^\+[1-9][0-9]{6,14}$'),
    pool text not null check (pool ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    trunk text not null references pgdial.trunks (name),
    daily_cap int check (daily_cap between 1 and 100000),          -- null: none
    paused boolean not null default false,
    paused_at timestamptz,
    paused_by text,
    paused_why text,
    resumed_at timestamptz,
    rest_until timestamptz,
    created_at timestamptz not null default pgdial.now()
);
comment on column pgdial.caller_ids.trunk is 'whose account owns the number: calls on other trunks are not dialled from it';
comment on column pgdial.caller_ids.daily_cap is 'dials in any 24 hours at most';
comment on column pgdial.caller_ids.resumed_at is 'what was said before counts no more';
comment on column pgdial.caller_ids.rest_until is 'it is not chosen before then';
create index caller_ids_of_pool on pgdial.caller_ids (pool, trunk);

-- How often each was dialled from lately.
create index dials_by_caller_id on pgdial.dials (from_number, at) where from_number is not null;

-- What a session remembers of the use of a caller id: its dials in the 24 hours before as_of, counted in full at since.
create type pgdial.counted_dials as (number text, used int, as_of timestamptz, since timestamptz);

-- A caller id that a claim may choose, and how much of it is left. used: dials within 24 hours.
create type pgdial.usable_caller_id as (number text, pool text, trunk text, room int, used int);
