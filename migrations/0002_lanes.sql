-- Trunks and campaigns (what a person may change while it runs), who is alive,
-- and whom not to ring.

create table pgdial.trunks (
    name text primary key check (name ~ '^[a-z][a-z0-9_]{0,30}$'),
    slots int not null default 30 check (slots between 0 and 100000),
    calls_per_second numeric(9, 3) check (calls_per_second > 0),   -- null: unpaced
    paused boolean not null default false,
    paused_at timestamptz,
    paused_by text,
    paused_why text,
    created_at timestamptz not null default pgdial.now()
);
comment on column pgdial.trunks.slots is 'calls in flight at most, summed over all processes (P3)';

-- The pacing bucket of a trunk that has a pace. Written only by the claim, under
-- the gate; apart from trunks, so that a person's lock there never holds up a claim.
create table pgdial.trunk_pace (
    trunk text primary key,              -- no foreign key: its row lock would make the gate wait for a person
    tokens double precision not null,
    as_of timestamptz not null
) with (fillfactor = 50);

create table pgdial.campaigns (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    trunk text not null references pgdial.trunks (name),
    cap int check (cap >= 0),                                      -- null: the trunk's slots only
    weight int not null default 1 check (weight between 1 and 1000),
    paused boolean not null default false,
    paused_at timestamptz,
    paused_by text,
    paused_why text,
    max_attempts int not null default 3 check (max_attempts between 1 and 20),
    ring_timeout interval not null default '60 seconds'
        check (ring_timeout between '1 second' and '10 minutes'),
    max_duration interval not null default '30 minutes'
        check (max_duration between '1 second' and '6 hours'),
    busy_base interval not null default '5 minutes' check (busy_base > '0'),
    no_answer_base interval not null default '30 minutes' check (no_answer_base > '0'),
    fault_base interval not null default '5 seconds' check (fault_base > '0'),
    backoff_cap interval not null default '4 hours' check (backoff_cap > '0'),
    redial_unknown boolean not null default false,
    created_at timestamptz not null default pgdial.now()
);
comment on column pgdial.campaigns.cap is 'calls in flight of this campaign at most';
comment on column pgdial.campaigns.weight is 'its share of the slots beside other campaigns that have work';
comment on column pgdial.campaigns.redial_unknown is 'retry a call whose attempt nobody could explain, after its hold';

insert into pgdial.trunks (name) values ('default');
insert into pgdial.campaigns (name, trunk) values ('default', 'default');

-- What lanes() answers: one campaign, and whether it may dial now.
create type pgdial.lane as (
    campaign text,
    trunk text,
    weight int,
    in_flight int,              -- of the campaign
    room int,                   -- calls that it may have claimed now
    trunk_room int,             -- the same of its whole trunk
    reason text,                -- why room is 0
    opens_at timestamptz        -- when time alone opens it
);

-- One row for each worker process. The id is made afresh at each start: a host
-- name that comes back would make a dead worker's claims look alive.
create table pgdial.workers (
    id uuid primary key,
    host text not null,
    pid int not null,
    release text not null,
    permits int not null,
    trunks text[] not null,
    started_at timestamptz not null,
    seen_at timestamptz not null,
    stopping boolean not null default false
) with (fillfactor = 50);

create table pgdial.do_not_call (
    phone text primary key check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    reason text not null,
    by text not null,
    at timestamptz not null default pgdial.now(),
    pending boolean not null default true        -- the sweep has not yet looked for waiting calls
);
create index do_not_call_pending on pgdial.do_not_call (at) where pending;
