-- The circuit breaker of a trunk: what its provider's recent answers allow.
-- Apart from trunks, so that a person's lock there holds up no verb. No foreign key for
-- the same reason; a missing row is a closed breaker.
create table pgdial.trunk_breaker (
    trunk text primary key,
    faults int not null default 0,       -- in a row: no answer, or one that means nothing
    last_fault text,
    probes int not null default 0,       -- since it opened
    opened_at timestamptz,               -- null: closed. Open: one call at a time may probe
    not_before timestamptz               -- no dial before then
) with (fillfactor = 50);
