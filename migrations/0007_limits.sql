-- Contact limits: how often a number may be rung, and the dials that they count.

-- One rule each. A cooldown is a limit too: at most one conversation in seven days keeps the number from being rung
-- for seven days after a conversation. Presets are rows, named with the month in which they were read, like those
-- of calling_hours.
create table pgdial.contact_limits (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9_@.-]{0,62}$'),   -- as campaigns name it
    -- attempts: every dial; conversations; voicemails; else dials with this outcome or disposition
    counts text not null check (counts ~ '^[a-z][a-z0-9_]{0,62}$'),
    at_most int not null default 1 check (at_most between 1 and 1000),   -- of what it counts, within the period
    period interval not null check (period between '1 minute' and '400 days'),   -- of local_day: whole days
    -- rolling: that long before now; local_day: today and the days before it, by the callee's clock
    boundary text not null default 'rolling' check (boundary in ('rolling', 'local_day')),
    -- which dials count together: all to the number, those of one topic, or of one campaign
    per text not null default 'number' check (per in ('number', 'number_and_topic', 'number_and_campaign')),
    -- it holds only for callees who may be there (ISO 3166: a country, or a part of it); null: for all
    regions text[] check (array_to_string(regions, ',') ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?(,[A-Z]{2}(-[A-Z0-9]{1,3})?)*$'),
    all_campaigns boolean not null default false,   -- it holds for every campaign, named by it or not
    presets text[] not null default '{}',           -- what `campaigns create --preset` brings it in
    source text,                                    -- where it was read; null: not said
    constraint contact_limits_of_whole_days check (boundary = 'rolling' or extract(epoch from period) % 86400 = 0)
);

-- One row per dial that may have rung, while any campaign has limits: inserted by the claim, deleted when it is
-- proved that nothing was placed.
create table pgdial.dials (
    phone text collate "C" not null,      -- E.164; the number that was dialled
    at timestamptz not null,              -- when the claim took it
    campaign text not null,               -- of the call
    topic text,                           -- of the campaign then; null: not known, counted with every topic
    from_number text,                     -- what it was dialled from; null: the trunk's own number
    outcome pgdial.outcome,               -- how it ended; null: in flight
    conversation boolean,                 -- whether it came to one; null: nobody knows (yet), and so it counts as one
    disposition text,                     -- what the conversation came to; null: nobody said
    call_id uuid not null,                -- refers to calls.id
    claim_no bigint not null,             -- of the dial
    primary key (phone, at, call_id)
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
create index dials_at on pgdial.dials using brin (at) with (autosummarize = on);

-- A limit that keeps a waiting call from being dialled, and until when; with the call's place in the queue.
create type pgdial.held as (
    id uuid, campaign text, priority smallint, area int, run_at timestamptz, name text, until timestamptz,
    zones text[]                          -- where its callee may be
);

insert into pgdial.contact_limits (name, counts, at_most, period, boundary, per, regions, presets, source) values
    ('us-fl@2026-11', 'attempts', 3, '24 hours', 'rolling', 'number_and_topic', '{US-FL}',
     '{us-fl@2026-11,us-states@2026-11}', 'Fla. Stat. 501.616(6): flsenate.gov/Session/Bill/2021/1120'),
    ('us-ok@2026-11', 'attempts', 3, '24 hours', 'rolling', 'number_and_topic', '{US-OK}',
     '{us-ok@2026-11,us-states@2026-11}', 'Oklahoma''s act of 2022: dnc.dreamhosters.com/?p=1309'),
    ('us-md@2026-11', 'attempts', 3, '24 hours', 'rolling', 'number_and_topic', '{US-MD}',
     '{us-md@2026-11,us-states@2026-11}', 'Stop the Spam Calls Act of 2023, Md. Code, Com. Law 14-4502: dnc.com'),
    ('us-me@2026-11', 'attempts', 1, '8 hours', 'rolling', 'number', '{US-ME}',
     '{us-me@2026-11,us-states@2026-11,us-strict@2026-11}', 'automated devices in Maine: g2leadstosales.com (secondary)'),
    ('us-strict@2026-11', 'attempts', 3, '24 hours', 'rolling', 'number', null,
     '{us-strict@2026-11}', 'derived: the states'' limits, everywhere and whatever the topic'),
    ('us-reg-f-attempts@2026-11', 'attempts', 7, '7 days', 'rolling', 'number_and_topic', null,
     '{us-reg-f@2026-11}', '12 CFR 1006.14(b)(2); the topic is the debt: law.lawstack.com/cfr/12/1006.14'),
    ('us-reg-f-conversation@2026-11', 'conversations', 1, '7 days', 'local_day', 'number_and_topic', null,
     '{us-reg-f@2026-11}', '12 CFR 1006.14(b)(2): the date of the conversation is the first day of the seven'),
    ('fr-attempts@2026-11', 'attempts', 4, '30 days', 'local_day', 'number', null,
     '{fr@2026-11}', 'legifrance.gouv.fr/jorf/id/JORFTEXT000046421823'),
    ('fr-refusal@2026-11', 'not_interested', 1, '60 days', 'local_day', 'number', null,
     '{fr@2026-11}', 'legifrance.gouv.fr/jorf/id/JORFTEXT000046421823'),
    ('de-code-day@2026-11', 'attempts', 3, '1 day', 'local_day', 'number', null,
     '{de-code@2026-11}', 'code of CCV and DDV: general-anzeiger-bonn.de'),
    ('de-code-week@2026-11', 'attempts', 15, '7 days', 'local_day', 'number', null,
     '{de-code@2026-11}', 'code of CCV and DDV: general-anzeiger-bonn.de'),
    ('de-code-campaign@2026-11', 'attempts', 30, '365 days', 'local_day', 'number_and_campaign', null,
     '{de-code@2026-11}', 'code of CCV and DDV: general-anzeiger-bonn.de');
