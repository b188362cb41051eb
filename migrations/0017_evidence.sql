-- What providers said to the latest dials where there was trouble: what the pause of a trunk, its
-- hold-off, its breaker and the guard of a campaign rest on (sql/rules/evidence.sql).
-- Append-only and short: some rows for each campaign and script in trouble, none while all goes well.
create table pgdial.answers (
    seq bigint generated always as identity primary key,
    at timestamptz not null,
    trunk text not null,
    campaign text not null,
    script_id text not null,
    from_number text not null,           -- '' = none was asked for
    call_id uuid not null,
    number int not null,                 -- which number it was: a digest, only to tell two apart
    kind text not null check (kind in ('accepted', 'works', 'refused', 'forbidden', 'capacity', 'fault')),
    reason text                          -- the provider's words
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
create index answers_of_trunk on pgdial.answers (trunk, seq);
create index answers_of_campaign on pgdial.answers (campaign, seq);

-- When a call of the campaign was last accepted, to within ten seconds. Apart from campaigns, so
-- that a person's lock there holds up no verb.
create table pgdial.campaign_trust (
    campaign text primary key,
    accepted_at timestamptz not null
) with (fillfactor = 50);

alter table pgdial.campaigns
    add column guard int default 10 check (guard between 1 and 100),
    add column resumed_at timestamptz;
alter table pgdial.trunks add column resumed_at timestamptz;
comment on column pgdial.campaigns.guard is
    'after so many refused dials in a row, for one reason, it pauses itself; null: never';
comment on column pgdial.campaigns.resumed_at is 'what was said before counts no more';

-- Calls like these (an empty from_number: with none) were refused so often that others go first.
create type pgdial.suspect as (campaign text, script_id text, from_number text);

-- Whether its dial is still to be answered: how many of a campaign on trial are on their way.
alter type pgdial.flying add attribute is_dialing boolean;

set local client_min_messages = warning;
drop function if exists pgdial.pick(text[], int, pgdial.head[], pgdial.flying[], timestamptz);
drop function if exists pgdial.pick_from(text, text, int, pgdial.head[], text[], uuid[], timestamptz);
drop function if exists pgdial.breaker_fault(text, text, timestamptz);
drop function if exists pgdial.pause_trunk_for(text, text, timestamptz);
drop function if exists pgdial.hold_off(text, int);
reset client_min_messages;
