-- Which events are one and the same, and what becomes of those that nobody can match.

-- The same id with another body is another event: a provider may count its events by call, or not
-- at all. The digest stays when forget empties the body, so that a repetition is known even then.
alter table pgdial.webhook_events add column body_digest bytea not null default '';
update pgdial.webhook_events set body_digest = substr(sha256(body), 1, 16);
drop index pgdial.webhook_events_once;
create unique index webhook_events_once on pgdial.webhook_events (trunk, reference, event_id, body_digest);

-- unmatched: nobody here knows its call, and nobody is waiting to learn of it any more.
alter table pgdial.webhook_events drop constraint webhook_events_verdict_check;
alter table pgdial.webhook_events add constraint webhook_events_verdict_check check (verdict in
    ('applied', 'noted', 'stale', 'late_answer', 'mismatch', 'parked', 'unparsable', 'unmatched'));

-- Two queues: events whose call is known, and those of a call that is not known (yet). An account
-- that other software uses too sends any number of the latter, and they must not stand before the former.
drop index pgdial.webhook_events_parked;
create index webhook_events_parked on pgdial.webhook_events (try_at) where verdict = 'parked' and call_id is not null;
create index webhook_events_unknown on pgdial.webhook_events (try_at) where verdict = 'parked' and call_id is null;
drop index pgdial.webhook_events_parked_by_provider;
create index webhook_events_parked_by_provider on pgdial.webhook_events (trunk, (report ->> 'provider_call_id'))
    where verdict in ('parked', 'unmatched');
drop index pgdial.webhook_events_odd;
create index webhook_events_odd on pgdial.webhook_events (verdict, id)
    where verdict in ('unparsable', 'mismatch', 'late_answer', 'unmatched');
create index webhook_events_by_call on pgdial.webhook_events (call_id, id) where call_id is not null;

-- What a trunk's account has sent within an hour about calls that nobody here knows.
create table pgdial.trunk_inbox (
    trunk text primary key,
    since timestamptz not null,           -- the hour's beginning
    bytes bigint not null default 0,
    most_bytes bigint not null default 1073741824
) with (fillfactor = 50);
comment on column pgdial.trunk_inbox.most_bytes is 'beyond it, such events are refused until the hour is over';
