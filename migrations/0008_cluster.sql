-- Where this database runs, so that one that was restored, copied, or taken over by a
-- standby is noticed before anybody is rung: commits may be missing from it, claims whose
-- dials ring among them.

create table pgdial.cluster (
    only_row boolean primary key default true check (only_row),
    system_identifier bigint not null,       -- of the server
    database oid not null,                   -- of this database in it
    timeline text not null,                  -- another one: a promotion, or a restore in time
    synchronous boolean not null default false,
    noted_at timestamptz not null,
    seen_at timestamptz not null,            -- when a worker last found it unchanged
    lost_since timestamptz,                  -- from when on commits may be lost, while that is looked into
    claim_floor bigint not null default 0    -- claims up to this one may be lost; new ones lie above it
) with (fillfactor = 50);
comment on column pgdial.cluster.synchronous is
    'told by an operator: a standby that takes over has every commit, so a new timeline loses nothing';

-- Nothing is dialled on this trunk until then: calls that nobody remembers may still be up.
alter table pgdial.trunks add column held_until timestamptz;

-- The events that somebody looks for. Not the common verdicts: each webhook would pay for them.
create index webhook_events_odd on pgdial.webhook_events (verdict, id)
    where verdict in ('unparsable', 'mismatch', 'late_answer');
