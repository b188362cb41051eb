-- The schema, its history and its clock; settings that a person may change at run time; live workers; where the
-- database runs.

create schema pgdial;
comment on schema pgdial is 'pgdial: outbound calls from a queue in Postgres';

-- One row per migration, and one for each time a release applied the functions.
create table pgdial.schema_history (
    seq bigint generated always as identity primary key,
    kind text not null check (kind in ('migration', 'functions')),
    version int not null,                 -- the newest migration that the release knows
    name text not null,
    digest text not null,                 -- sha256 of the text that was applied
    release text not null,                -- the release of pgdial that applied it
    compatible_from int not null,         -- binaries that know at least this migration may run
    applied_at timestamptz not null default clock_timestamp(),
    applied_by text not null default session_user
);

-- What the catalog held of pgdial after the last migration (sql/read/fingerprints.sql): any difference was made
-- by something else.
create table pgdial.expected (
    kind text not null,
    name text not null,
    definition text not null,
    server int not null,                  -- the major version that worded the definitions
    primary key (kind, name)
);

-- Real time plus an offset that tests may move; in production the offset stays zero.
create table pgdial.clock (
    only_row boolean primary key default true check (only_row),
    ahead interval not null default '0'
);
insert into pgdial.clock default values;

-- The time that every decision rests on. It is volatile (clock_timestamp, not the start of the transaction): a
-- claim that waited at the gate must not spend its lease there. So never write it bare in a WHERE, where it
-- would cost the index bound: read it once into a variable, or write (select pgdial.now()).
create function pgdial.now() returns timestamptz
language sql volatile parallel safe
as $$ select clock_timestamp() + (select c.ahead from pgdial.clock c) $$;

create table pgdial.trunks (
    name text primary key check (name ~ '^[a-z][a-z0-9_]{0,30}$'),
    slots int not null default 30 check (slots between 0 and 100000),
    calls_per_second numeric(9, 3) check (calls_per_second > 0),   -- null: unpaced
    paused boolean not null default false,
    paused_at timestamptz,
    paused_by text,
    paused_why text,
    resumed_at timestamptz,
    held_until timestamptz,               -- no dial before then: calls lost in a recovery may still be up
    -- Null: as its adapter declares (trunk_terms).
    look_up text check (look_up in ('none', 'hint', 'authoritative')),
    idempotent boolean,
    reports_within interval check (reports_within = '0' or reports_within between '1 second' and '1 hour'),
    created_at timestamptz not null default pgdial.now()
);
comment on column pgdial.trunks.slots is 'calls in flight at most, summed over all processes (P3)';
comment on column pgdial.trunks.resumed_at is 'what was said before counts no more';
comment on column pgdial.trunks.look_up is
    'none: cannot be asked; hint: what it knows counts, what it does not know proves nothing; '
    'authoritative: what it does not know, several times over a window, was not placed';
comment on column pgdial.trunks.idempotent is
    'its provider rings once for one Idempotency-Key, however often it comes within some minutes; '
    'so a dial whose answer was lost may be sent again';
comment on column pgdial.trunks.reports_within is
    'its provider sends a first report of every call that it has placed within this time; zero: it promises none';

-- What the adapter of a trunk declares of its platform, told by the worker that started last. Separate from trunks,
-- and without a foreign key, so that a person's lock there never holds up a heartbeat.
create table pgdial.trunk_adapter (
    trunk text primary key,
    account text,                         -- where it dials; null: it does not say
    declares jsonb not null,
    declared_at timestamptz not null
);
comment on column pgdial.trunk_adapter.declares is
    'lookUp: none, by_id, hint or authoritative; idempotency: none, untried or honoured, and keyKept; reportsWithin; '
    'cancels; lists; webhooks: per_call or per_account; callsPerSecond; placeTimeout. Null: not known';

-- The pacing bucket of a trunk with a pace. Written only by the claim, under the gate; separate from trunks, so
-- that a person's lock there never holds up a claim.
create table pgdial.trunk_pace (
    trunk text primary key,              -- no foreign key: its row lock would make the gate wait for a person
    tokens double precision not null,
    as_of timestamptz not null
) with (fillfactor = 50);

-- The circuit breaker of a trunk: what its provider's recent responses allow. Separate from trunks, and without
-- a foreign key, for the same reasons; a missing row is a closed breaker.
create table pgdial.trunk_breaker (
    trunk text primary key,
    faults int not null default 0,       -- in a row: no response, or a meaningless one
    last_fault text,
    probes int not null default 0,       -- since it opened
    opened_at timestamptz,               -- null: closed. Open: one call at a time may probe
    not_before timestamptz               -- no dial before then
) with (fillfactor = 50);

-- How much a trunk's account has sent within an hour about calls that are unknown here.
create table pgdial.trunk_inbox (
    trunk text primary key,
    since timestamptz not null,           -- the start of the hour
    bytes bigint not null default 0,
    most_bytes bigint not null default 1073741824
) with (fillfactor = 50);
comment on column pgdial.trunk_inbox.most_bytes is 'beyond it, such events are refused until the hour is over';

-- Days with hours of their own. A day that a calendar does not cover is not known, and so closed.
create table pgdial.calendars (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9_@.-]{0,62}$'),
    covers daterange not null check (not isempty(covers)),
    source text
);
create table pgdial.special_days (
    calendar text not null references pgdial.calendars (name) on delete cascade,
    day date not null,
    name text not null,
    hours int4multirange not null default '{}'   -- minutes of that day, instead of the week's; empty: closed
        check (hours <@ '{[0,1440)}'),
    primary key (calendar, day)
);

-- When people may be rung, by their own clocks. Presets are rows, named with the month in which they were read:
-- a later release adds another and changes none that a campaign uses.
create table pgdial.calling_hours (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9_@.-]{0,62}$'),
    -- Minutes of the local week from Monday 00:00, half open, in quarters of an hour.
    week int4multirange not null check (week <@ '{[0,10080)}'),
    timezone text,                        -- whose clock counts, instead of the callee's
    calendar text references pgdial.calendars (name),
    zone_basis text not null default 'given_or_number'
        check (zone_basis in ('given_or_number', 'given_and_number', 'given')),
    source text
);
comment on column pgdial.calling_hours.zone_basis is
    'where the callee may be: what the caller gave, else what the number says; both at once; only what the caller gave';

-- Instead of the rows of calling_hours, for callees who may be in this region.
create table pgdial.calling_hours_regions (
    hours text not null references pgdial.calling_hours (name) on delete cascade,
    region text not null check (region ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),   -- ISO 3166: a country, or a part of it
    week int4multirange not null check (week <@ '{[0,10080)}'),
    timezone text,
    calendar text references pgdial.calendars (name),
    source text,
    primary key (hours, region)
);

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
    guard int default 10 check (guard between 1 and 100),
    resumed_at timestamptz,
    region text constraint campaigns_region_is_a_country check (region ~ '^[A-Z]{2}$'),
    calling_hours text references pgdial.calling_hours (name),     -- null: at any time
    zone_basis text check (zone_basis in ('given_or_number', 'given_and_number', 'given')),   -- null: its calling hours'
    answering_machine text not null default 'ignore' check (answering_machine in ('ignore', 'hang_up', 'leave_message')),
    voicemail text not null default 'complete' check (voicemail in ('complete', 'retry')),
    voicemail_base interval not null default '2 hours' check (voicemail_base > '0'),
    caller_ids text,                      -- a pool of caller_ids that its calls are dialled from; null: as the trunk does
    starts_at timestamptz,
    ends_at timestamptz,
    retry_at text not null default 'backoff' check (retry_at in ('backoff', 'other_part', 'next_day')),
    contact_limits text[] check (cardinality(contact_limits) > 0), -- names; a trigger sees that they exist
    topic text check (length(topic) between 1 and 100),
    disposition_rules jsonb check (jsonb_typeof(disposition_rules) = 'array'),
    opt_out_scope text not null default 'everywhere' check (opt_out_scope in ('everywhere', 'topic', 'campaign')),
    require_consent boolean not null default false,
    created_at timestamptz not null default pgdial.now(),
    goal_outcome text check (goal_outcome in ('answered', 'voicemail')),
    goal_disposition text check (goal_disposition ~ '^[a-z][a-z0-9_]{0,62}$'),
    goal_count int check (goal_count between 1 and 999999999),
    budget numeric check (budget > 0),
    answer_guard_last int check (answer_guard_last between 10 and 1000),
    answer_guard_below numeric check (answer_guard_below > 0 and answer_guard_below <= 1),
    ramp_from int check (ramp_from between 1 and 999999),
    ramp_step int check (ramp_step between 1 and 999999),
    ramp_every interval check (ramp_every between '1 second' and '365 days'),
    constraint campaigns_goal_is_whole check (num_nonnulls(goal_outcome, goal_disposition) = num_nonnulls(goal_count)),
    constraint campaigns_answer_guard_is_whole check (num_nulls(answer_guard_last, answer_guard_below) in (0, 2)),
    constraint campaigns_ramp_is_whole check (num_nulls(ramp_from, ramp_step, ramp_every) in (0, 3)),
    constraint campaigns_end_after_start check (starts_at < ends_at),
    constraint campaigns_retry_by_a_clock check (retry_at = 'backoff' or calling_hours is not null)
);
comment on column pgdial.campaigns.topic is
    'what its calls are about: limits and opt-outs may hold for a topic alone';
comment on column pgdial.campaigns.disposition_rules is
    'an array of {disposition, when, callbackAt}: the first whose when, a jsonpath, finds something in the result decides';
comment on column pgdial.campaigns.opt_out_scope is
    'where a callee who opts out is not called again; topic, without a topic: everywhere';
comment on column pgdial.campaigns.require_consent is 'only calls with a consent that has not expired are dialled';
comment on column pgdial.campaigns.cap is 'calls in flight of this campaign at most';
comment on column pgdial.campaigns.weight is 'its share of the slots beside other campaigns that have work';
comment on column pgdial.campaigns.redial_unknown is 'retry a call whose attempt nobody could explain, after its hold';
comment on column pgdial.campaigns.answering_machine is
    'what its provider is told to do when a machine answers; ignore: nothing is said of it';
comment on column pgdial.campaigns.voicemail is 'what follows once a machine has answered: the call is over, or is tried again';
comment on column pgdial.campaigns.guard is
    'after so many refused dials in a row, for one reason, it pauses itself; null: never';
comment on column pgdial.campaigns.resumed_at is 'what was said before counts no more';
comment on column pgdial.campaigns.starts_at is 'no dial before; null: at once';
comment on column pgdial.campaigns.ends_at is
    'no dial from then on, retries included: what waits expires, live calls go on to their end; null: never';
comment on column pgdial.campaigns.retry_at is
    'when to dial again if nobody was reached: after the backoff, in a part of the callee''s day not tried yet, or on another day';
comment on column pgdial.campaigns.goal_count is 'it pauses itself once so many of its calls ended as goal_outcome, or came to goal_disposition';
comment on column pgdial.campaigns.budget is 'it pauses itself once its calls have cost so much, in the platform''s currency';
comment on column pgdial.campaigns.answer_guard_last is
    'it pauses itself if of so many attempts a smaller part than answer_guard_below was answered';
comment on column pgdial.campaigns.ramp_from is 'its cap at first; ramp_step more each ramp_every';
comment on column pgdial.campaigns.region is
    'where numbers are dialed that come without + and country code (ISO 3166, two letters); null: each must have them';
comment on column pgdial.campaigns.topic is
    'what its calls are about, for contact limits by topic; null: not known, and so counted with every topic';
create index campaigns_limited on pgdial.campaigns (name) where contact_limits is not null;

-- When a call of the campaign was last accepted, to within ten seconds. Separate from campaigns, so that a
-- person's lock there holds up no verb.
create table pgdial.campaign_trust (
    campaign text primary key,
    accepted_at timestamptz not null
) with (fillfactor = 50);

insert into pgdial.trunks (name) values ('default');
insert into pgdial.campaigns (name, trunk) values ('default', 'default');

-- One row per worker process. The id is new at each start, and not the host name: when that comes back, a dead
-- worker's claims would look alive.
create table pgdial.workers (
    id uuid primary key,
    host text not null,
    pid int not null,
    release text not null,
    permits int not null,
    trunks text[] not null,
    started_at timestamptz not null,
    seen_at timestamptz not null,
    stopping boolean not null default false,
    draining boolean not null default false,   -- told to finish: claims no more, ends once its dials have
    accounts text[]                            -- of its trunks, in the same order
) with (fillfactor = 50);

-- Numbers not to ring: everywhere, for a topic or for a campaign.
create table pgdial.do_not_call (
    phone text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    topic text not null default '' check (length(topic) <= 100),   -- '': any
    campaign text not null default '',           -- '': any
    until timestamptz,                           -- null: for ever
    reason text not null,
    by text not null,
    at timestamptz not null default pgdial.now(),
    pending boolean not null default true,       -- the sweep has not yet looked for waiting calls
    primary key (phone, topic, campaign),
    constraint do_not_call_has_one_scope check (topic = '' or campaign = '')
);
create index do_not_call_over on pgdial.do_not_call (until) where until is not null;
create index do_not_call_pending on pgdial.do_not_call (at) where pending;

-- Where this database runs, so that one that was restored, copied, or taken over by a standby is noticed before
-- anyone is rung: commits may be missing, including claims whose dials ring.

create table pgdial.cluster (
    only_row boolean primary key default true check (only_row),
    system_identifier bigint,                -- of the server; null: withheld by it
    database oid not null,                   -- of this database on it
    timeline text,                           -- changes with a promotion or a restore in time; null: withheld
    synchronous boolean not null default false,
    noted_at timestamptz not null,
    seen_at timestamptz not null,            -- when a worker last found it unchanged
    lost_since timestamptz,                  -- since when commits may be lost, while that is looked into
    claim_floor bigint not null default 0,   -- claims up to this one may be lost; new ones are above it
    events_from bigint not null default 0    -- earlier events have transaction numbers of another server
) with (fillfactor = 50);
comment on column pgdial.cluster.synchronous is
    'told by an operator: a standby that takes over has every commit, so a new timeline loses nothing';

-- One row per step of housekeeping, in execution order (pgdial.housekeeping).
create table pgdial.housekeeping_steps (
    step text primary key,
    ordinal int not null unique,
    done_at timestamptz,                  -- when it last succeeded
    failed_at timestamptz,                -- when it last failed
    failures int not null default 0,      -- in a row, since it last succeeded
    error text                            -- the error of the last failure
) with (fillfactor = 50);
comment on table pgdial.housekeeping_steps is 'what became of each step of housekeeping, which workers do once a minute';
-- Partitions last: their locks are held until the transaction ends.
insert into pgdial.housekeeping_steps (step, ordinal) values
    ('refresh_statistics', 1), ('forget_workers', 2), ('forget_rest', 3), ('drop_acts', 4), ('drop_dials', 5),
    ('drop_list_entries', 6), ('ensure_partitions', 7), ('drop_partitions', 8);
