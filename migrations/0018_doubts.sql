-- Dials in doubt, and how the trunks of a process share what it has.

-- Their successors know how much each trunk may have.
drop function if exists pgdial.look_ups_due(text[], int), pgdial.repeats_due(text[], int),
    pgdial.repeatable(text[], timestamptz), pgdial.claim_due(uuid, text[], int),
    pgdial.pick(text[], int, pgdial.head[], pgdial.flying[], timestamptz);

-- Within what time a provider tells of every call that it places: silence about one in doubt may
-- then count (sql/rules/unheard.sql).
alter table pgdial.trunks add column reports_within interval
    check (reports_within between '1 second' and '1 hour');
comment on column pgdial.trunks.reports_within is
    'its provider sends a first report of every call that it has placed within this time; null: nobody knows';

-- Of a trunk, what was taken since a moment. Built in seconds over the events of a busy week.
create index webhook_events_taken on pgdial.webhook_events (trunk, received_at) where verdict = 'applied';
create index webhook_events_nameless on pgdial.webhook_events (trunk, received_at)
    where verdict = 'parked' and reference = '';
