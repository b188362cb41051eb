-- A trunk whose provider takes the same Idempotency-Key twice for one call.

alter table pgdial.trunks add column idempotent boolean not null default false;
comment on column pgdial.trunks.idempotent is
    'its provider rings once for one Idempotency-Key, however often it comes within some minutes; '
    'so a dial whose answer was lost may be sent again';

-- Of the present claim; the claim clears it. Once set, only the provider's word moves the
-- call: the worker that sent the first request no longer knows whether it rings.
alter table pgdial.calls add column repeated_at timestamptz;
