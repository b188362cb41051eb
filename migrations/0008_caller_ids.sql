-- Caller ids: the numbers that calls are dialled from, in pools that campaigns name.

-- Numbers to dial from. A verb (set_caller_id) or a plain update may change them at run time.
create table pgdial.caller_ids (
    number text primary key check (number ~ '^\+[1-9][0-9]{6,14}$'),   -- E.164
    pool text not null check (pool ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),   -- as campaigns name it
    trunk text not null references pgdial.trunks (name),   -- whose account owns it: other trunks do not dial from it
    daily_cap int check (daily_cap between 1 and 100000),   -- dials in any 24 hours at most; null: any number
    paused boolean not null default false,   -- not chosen until it is resumed
    paused_at timestamptz,                -- when it was paused; null: it is not
    paused_by text,                       -- who paused it, in their own words; null: not paused
    paused_why text,                      -- in words, perhaps the provider's; null: not paused
    resumed_at timestamptz,               -- its latest resume: what was said of it before counts no more; null: none
    rest_until timestamptz,               -- not chosen before then; null: does not rest
    created_at timestamptz not null default pgdial.now()   -- when it was added
);
create index caller_ids_of_pool on pgdial.caller_ids (pool, trunk);

-- How often each was dialled from lately.
create index dials_by_caller_id on pgdial.dials (from_number, at) where from_number is not null;

-- What a session remembers of the use of a caller id: its dials in the 24 hours before as_of, counted in full at since.
create type pgdial.counted_dials as (number text, used int, as_of timestamptz, since timestamptz);

-- A caller id that a claim may choose, and how much of it is left. used: dials within 24 hours.
create type pgdial.usable_caller_id as (number text, pool text, trunk text, room int, used int);
