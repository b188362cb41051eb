-- The schema, its history and its clock; settings that a person may change at run time; live workers; where the
-- database runs.

create schema pgdial;
comment on schema pgdial is 'pgdial: outbound calls from a queue in Postgres';

-- One row per migration, and one for each time a release applied the functions.
create table pgdial.schema_history (
    seq bigint generated always as identity primary key,       -- order of application
    kind text not null check (kind in ('migration', 'functions')),   -- functions: all functions and views of a release
    version int not null,                 -- of the migration; of functions, the newest migration that the release knows
    name text not null,                   -- of the migration's file; functions
    digest text not null,                 -- sha256 of the text that was applied
    release text not null,                -- the release of pgdial that applied it
    compatible_from int not null,         -- binaries that know at least this migration may run
    applied_at timestamptz not null default clock_timestamp(), -- by the server's clock
    applied_by text not null default session_user              -- the login that ran `pgdial migrate`
);

-- What the catalog held of pgdial after the last migration (sql/read/fingerprints.sql): any difference was made
-- by something else.
create table pgdial.expected (
    kind text not null,                   -- function, view, trigger, index, constraint, column or settings
    name text not null,                   -- of a function with its arguments, of a column with its table
    definition text not null,             -- the statement, or the fact, that makes it
    server int not null,                  -- the major version of Postgres that worded the definitions
    primary key (kind, name)
);

-- Real time plus an offset that tests may move; in production the offset stays zero.
create table pgdial.clock (
    only_row boolean primary key default true check (only_row),   -- always true: the table has one row
    ahead interval not null default '0'                           -- added to the server's clock
);
insert into pgdial.clock default values;

-- The time that every decision rests on. It is volatile (clock_timestamp, not the start of the transaction): a
-- claim that waited at the gate must not spend its lease there. So never write it bare in a WHERE, where it
-- would cost the index bound: read it once into a variable, or write (select pgdial.now()).
create function pgdial.now() returns timestamptz
language sql volatile parallel safe
as $$ select clock_timestamp() + (select c.ahead from pgdial.clock c) $$;

-- Provider accounts with their slots. A verb (set_trunk, pause) or a plain update may change them at run time.
create table pgdial.trunks (
    name text primary key check (name ~ '^[a-z][a-z0-9_]{0,30}$'),   -- as in the settings of the processes that dial on it
    slots int not null default 30 check (slots between 0 and 100000),   -- calls in flight at most, over all processes
    calls_per_second numeric(9, 3) check (calls_per_second > 0),   -- its pace; null: unpaced
    paused boolean not null default false,   -- no dial; calls in flight go on
    paused_at timestamptz,                -- when it was paused; null: it is not
    paused_by text,                       -- who paused it, in their own words; null: not paused
    paused_why text,                      -- in words, perhaps the provider's; null: not paused
    resumed_at timestamptz,               -- its latest resume: what its provider said before counts no more; null: none
    held_until timestamptz,               -- no dial before then: calls lost in a recovery may still be up; null: not held
    -- none: its provider cannot be asked about calls; hint: what it knows counts, what it does not know proves nothing;
    -- authoritative: what it does not know, several times over a window, was not placed; null: as its adapter declares
    look_up text check (look_up in ('none', 'hint', 'authoritative')),
    -- its provider rings once for one Idempotency-Key, however often it comes within some minutes, so a dial whose answer
    -- was lost may be sent again; null: as its adapter declares
    idempotent boolean,
    -- its provider sends a first report of every call that it has placed within this time; zero: it promises none; null:
    -- as its adapter declares
    reports_within interval check (reports_within = '0' or reports_within between '1 second' and '1 hour'),
    created_at timestamptz not null default pgdial.now(),   -- when the trunk was created
    archived_at timestamptz,              -- out of sight since then, and paused; null: it is not
    constraint trunks_archived_is_paused check (archived_at is null or paused)
);

-- What the adapter of a trunk declares of its platform, told by the worker that started last. Separate from trunks,
-- and without a foreign key, so that a person's lock there never holds up a heartbeat.
create table pgdial.trunk_adapter (
    trunk text primary key,               -- its name
    account text,                         -- where it dials: adapter, host and a digest; null: it does not say
    -- lookUp: none, by_id, hint or authoritative; idempotency: none, untried or honoured, and keyKept; reportsWithin;
    -- cancels; lists; webhooks: per_call or per_account; callsPerSecond; placeTimeout; null: not known
    declares jsonb not null,
    declared_at timestamptz not null      -- when that last changed
);

-- The pacing bucket of a trunk with a pace. Written only by the claim, under the gate; separate from trunks, and without
-- a foreign key, so that a person's lock there never holds up a claim.
create table pgdial.trunk_pace (
    trunk text primary key,               -- its name
    tokens double precision not null,     -- dials that it could start as of then
    as_of timestamptz not null            -- when the tokens were last counted
) with (fillfactor = 50);

-- The circuit breaker of a trunk: what its provider's recent responses allow. Separate from trunks, and without
-- a foreign key, for the same reasons; a missing row is a closed breaker.
create table pgdial.trunk_breaker (
    trunk text primary key,               -- its name
    faults int not null default 0,        -- in a row: no response, or a meaningless one
    last_fault text,                      -- the latest of them, in words; null: none
    probes int not null default 0,        -- calls that probed the provider since it opened
    opened_at timestamptz,                -- when it opened: since then one call at a time may probe; null: closed
    not_before timestamptz                -- no dial before then; null: at once
) with (fillfactor = 50);

-- How much a trunk's account has sent within an hour about calls that are unknown here.
create table pgdial.trunk_inbox (
    trunk text primary key,               -- its name
    since timestamptz not null,           -- the start of the hour
    bytes bigint not null default 0,      -- kept of it so far
    most_bytes bigint not null default 1073741824   -- beyond it, such events are refused until the hour is over
) with (fillfactor = 50);

-- Days with hours of their own. A day that a calendar does not cover is not known, and so closed.
create table pgdial.calendars (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9_@.-]{0,62}$'),   -- a preset's ends with the month of its reading
    covers daterange not null check (not isempty(covers)),   -- the days of which it is known whether they are special
    source text                           -- where it was read; null: not said
);

-- The special days of a calendar.
create table pgdial.special_days (
    calendar text not null references pgdial.calendars (name) on delete cascade,   -- its name
    day date not null,                    -- by the clock that the hours go by
    name text not null,                   -- of the day, as in Christmas Day
    hours int4multirange not null default '{}'   -- minutes of that day, instead of the week's; empty: closed
        check (hours <@ '{[0,1440)}'),
    primary key (calendar, day)
);

-- When people may be rung, by their own clocks. Presets are rows, named with the month in which they were read:
-- a later release adds another and changes none that a campaign uses.
create table pgdial.calling_hours (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9_@.-]{0,62}$'),   -- as campaigns name them
    -- minutes of the local week from Monday 00:00, half open, in quarters of an hour
    week int4multirange not null check (week <@ '{[0,10080)}'),
    timezone text,                        -- whose clock counts (IANA); null: the callee's
    calendar text references pgdial.calendars (name),   -- special days; null: none
    -- where the callee may be: what the caller gave, else what the number says; both at once; only what the caller gave
    zone_basis text not null default 'given_or_number'
        check (zone_basis in ('given_or_number', 'given_and_number', 'given')),
    source text                           -- where they were read; null: not said
);

-- Instead of the rows of calling_hours, for callees who may be in this region.
create table pgdial.calling_hours_regions (
    hours text not null references pgdial.calling_hours (name) on delete cascade,   -- whose exception it is
    region text not null check (region ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),   -- ISO 3166: a country, or a part of it
    -- minutes of the local week from Monday 00:00, half open, in quarters of an hour
    week int4multirange not null check (week <@ '{[0,10080)}'),
    timezone text,                        -- whose clock counts there (IANA); null: the callee's
    calendar text references pgdial.calendars (name),   -- special days there; null: none
    source text,                          -- where it was read; null: not said
    primary key (hours, region)
);

-- Named groups of calls on a trunk. A verb (set_campaign, pause) or a plain update may change them at run time.
create table pgdial.campaigns (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),   -- as calls name it
    trunk text not null references pgdial.trunks (name),           -- where its calls are dialled
    cap int check (cap >= 0),                                      -- calls in flight at most; null: the trunk's slots only
    weight int not null default 1 check (weight between 1 and 1000),   -- its share of the slots beside others with work
    paused boolean not null default false,                         -- no dial; calls in flight go on
    paused_at timestamptz,                                         -- when it was paused; null: it is not
    paused_by text,                                                -- who paused it, in their own words; null: not paused
    paused_why text,                                               -- in words, perhaps the provider's; null: not paused
    max_attempts int not null default 3 check (max_attempts between 1 and 20),   -- of a call that does not say
    ring_timeout interval not null default '60 seconds'            -- how long a telephone rings at most
        check (ring_timeout between '1 second' and '10 minutes'),
    max_duration interval not null default '30 minutes'            -- how long a call lasts at most, once answered
        check (max_duration between '1 second' and '6 hours'),
    busy_base interval not null default '5 minutes' check (busy_base > '0'),   -- first pause after busy; it doubles
    no_answer_base interval not null default '30 minutes' check (no_answer_base > '0'),   -- first pause after no answer
    fault_base interval not null default '5 seconds' check (fault_base > '0'),   -- first pause after a provider's fault
    backoff_cap interval not null default '4 hours' check (backoff_cap > '0'),   -- the longest pause between attempts
    redial_unknown boolean not null default false,   -- retry a call whose attempt nobody could explain, after its hold
    -- after so many refused dials in a row, for one reason, it pauses itself; null: never
    guard int default 10 check (guard between 1 and 100),
    resumed_at timestamptz,               -- its latest resume: what was said of its calls before counts no more; null: none
    -- where numbers are dialed that come without + and country code (ISO 3166, two letters); null: each must have them
    region text constraint campaigns_region_is_a_country check (region ~ '^[A-Z]{2}$'),
    calling_hours text references pgdial.calling_hours (name),     -- when callees may be rung; null: at any time
    -- where callees may be (see calling_hours); null: as its calling hours say
    zone_basis text check (zone_basis in ('given_or_number', 'given_and_number', 'given')),
    -- what its provider is told to do when a machine answers; ignore: nothing is said of it
    answering_machine text not null default 'ignore' check (answering_machine in ('ignore', 'hang_up', 'leave_message')),
    -- what follows once a machine has answered: the call is over, or is tried again
    voicemail text not null default 'complete' check (voicemail in ('complete', 'retry')),
    voicemail_base interval not null default '2 hours' check (voicemail_base > '0'),   -- first pause after a voicemail
    caller_ids text,                      -- a pool of caller_ids that its calls are dialled from; null: as the trunk does
    starts_at timestamptz,                -- no dial before; null: at once
    -- no dial from then on, retries included: what waits expires, live calls go on to their end; null: never
    ends_at timestamptz,
    -- when to dial again if nobody was reached: after the backoff, in a part of the callee's day not tried yet, or on
    -- another day
    retry_at text not null default 'backoff' check (retry_at in ('backoff', 'other_part', 'next_day')),
    -- names of contact_limits that hold for its calls, besides those for all campaigns (a trigger sees that they exist);
    -- null: none
    contact_limits text[] check (cardinality(contact_limits) > 0),
    -- what its calls are about: limits and opt-outs may hold for a topic alone; null: not known, and so counted with
    -- every topic
    topic text check (length(topic) between 1 and 100),
    -- an array of {disposition, when, callbackAt}: the first whose when, a jsonpath, finds something in the result decides;
    -- null: only the report's word counts
    disposition_rules jsonb check (jsonb_typeof(disposition_rules) = 'array'),
    -- where a callee who opts out is not called again; topic, without a topic: everywhere
    opt_out_scope text not null default 'everywhere' check (opt_out_scope in ('everywhere', 'topic', 'campaign')),
    require_consent boolean not null default false,   -- only calls with a consent that has not expired are dialled
    created_at timestamptz not null default pgdial.now(),          -- when the campaign was created
    archived_at timestamptz,              -- out of sight since then, and paused; null: it is not
    constraint campaigns_archived_is_paused check (archived_at is null or paused),
    goal_outcome text check (goal_outcome in ('answered', 'voicemail')),   -- what goal_count counts; null: not outcomes
    -- what goal_count counts; null: not dispositions
    goal_disposition text check (goal_disposition ~ '^[a-z][a-z0-9_]{0,62}$'),
    -- it pauses itself once so many of its calls ended as goal_outcome, or came to goal_disposition; null: never
    goal_count int check (goal_count between 1 and 999999999),
    -- it pauses itself once its calls have cost so much, in the platform's currency; null: never
    budget numeric check (budget > 0),
    -- it pauses itself if of so many attempts a smaller part than answer_guard_below was answered; null: never
    answer_guard_last int check (answer_guard_last between 10 and 1000),
    -- a part of one: 0.05 is one in twenty; null: no such guard
    answer_guard_below numeric check (answer_guard_below > 0 and answer_guard_below <= 1),
    ramp_from int check (ramp_from between 1 and 999999),          -- its cap at first; null: no ramp
    ramp_step int check (ramp_step between 1 and 999999),          -- added to it each ramp_every; null: no ramp
    ramp_every interval check (ramp_every between '1 second' and '365 days'),   -- how long a step lasts; null: no ramp
    constraint campaigns_goal_is_whole check (num_nonnulls(goal_outcome, goal_disposition) = num_nonnulls(goal_count)),
    constraint campaigns_answer_guard_is_whole check (num_nulls(answer_guard_last, answer_guard_below) in (0, 2)),
    constraint campaigns_ramp_is_whole check (num_nulls(ramp_from, ramp_step, ramp_every) in (0, 3)),
    constraint campaigns_end_after_start check (starts_at < ends_at),
    constraint campaigns_retry_by_a_clock check (retry_at = 'backoff' or calling_hours is not null)
);
create index campaigns_limited on pgdial.campaigns (name) where contact_limits is not null;

-- When a call of the campaign was last accepted, to within ten seconds. Separate from campaigns, so that a
-- person's lock there holds up no verb.
create table pgdial.campaign_trust (
    campaign text primary key,            -- its name
    accepted_at timestamptz not null      -- when a provider last took one of its calls
) with (fillfactor = 50);

insert into pgdial.trunks (name) values ('default');
insert into pgdial.campaigns (name, trunk) values ('default', 'default');

-- One row per worker process.
create table pgdial.workers (
    -- new at each start, and not the host name: when that comes back, a dead worker's claims would look alive
    id uuid primary key,
    host text not null,                        -- name of the machine
    pid int not null,                          -- of the process on its host
    release text not null,                     -- of pgdial that it runs
    permits int not null,                      -- dials that it makes at a time
    trunks text[] not null,                    -- on which it can dial
    started_at timestamptz not null,           -- when the process started
    seen_at timestamptz not null,              -- its latest heartbeat; there is one each 15 s
    stopping boolean not null default false,   -- it is shutting down
    draining boolean not null default false,   -- told to finish: claims no more, ends once its dials have
    accounts text[]                            -- of its trunks, in the same order: where they dial; null: not said
) with (fillfactor = 50);

-- Numbers not to ring: everywhere, for a topic or for a campaign.
create table pgdial.do_not_call (
    phone text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),   -- E.164
    topic text not null default '' check (length(topic) <= 100),  -- campaigns on it must not ring it; empty: any
    campaign text not null default '',           -- one that must not ring it; empty: any
    until timestamptz,                           -- when the entry ends; null: never
    reason text not null,                        -- why, in words
    by text not null,                            -- who added it, in their own words
    at timestamptz not null default pgdial.now(),   -- when it was added
    pending boolean not null default true,       -- the sweep has not yet looked for waiting calls
    primary key (phone, topic, campaign),
    constraint do_not_call_has_one_scope check (topic = '' or campaign = '')
);
create index do_not_call_over on pgdial.do_not_call (until) where until is not null;
create index do_not_call_pending on pgdial.do_not_call (at) where pending;

-- Where this database runs, so that one that was restored, copied, or taken over by a standby is noticed before
-- anyone is rung: commits may be missing, including claims whose dials ring.
create table pgdial.cluster (
    only_row boolean primary key default true check (only_row),   -- always true: the table has one row
    system_identifier bigint,                -- of the server; null: withheld by it
    database oid not null,                   -- of this database on it
    timeline text,                           -- changes with a promotion or a restore in time; null: withheld
    -- told by an operator: a standby that takes over has every commit, so a new timeline loses nothing
    synchronous boolean not null default false,
    noted_at timestamptz not null,           -- when this place was accepted
    seen_at timestamptz not null,            -- when a worker last found it unchanged
    lost_since timestamptz,                  -- since when commits may be lost, while that is looked into; null: none are
    claim_floor bigint not null default 0,   -- claims up to this one may be lost; new ones are above it
    events_from bigint not null default 0    -- earlier events have transaction numbers of another server
) with (fillfactor = 50);

-- What became of each step of pgdial.housekeeping, which workers do once a minute.
create table pgdial.housekeeping_steps (
    step text primary key,                -- its name: a function of its own
    ordinal int not null unique,          -- its place in the order of execution
    done_at timestamptz,                  -- when it last succeeded; null: never
    failed_at timestamptz,                -- when it last failed; null: never
    failures int not null default 0,      -- in a row, since it last succeeded
    error text                            -- of the last failure, numbers masked; null: it never failed
) with (fillfactor = 50);
-- Partitions last: their locks are held until the transaction ends.
insert into pgdial.housekeeping_steps (step, ordinal) values
    ('refresh_statistics', 1), ('forget_workers', 2), ('forget_rest', 3), ('drop_acts', 4), ('drop_dials', 5),
    ('drop_list_entries', 6), ('ensure_partitions', 7), ('drop_partitions', 8);
