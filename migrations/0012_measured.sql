-- When a claimed call was due, for whoever measures how long it waited; and the trace that it
-- belongs to, as W3C writes it: from the request that asked for it to the report that ends it.
-- `not valid`: every row that is written is checked, and those that are there, which have none,
-- are not read while everybody waits.
-- Nothing stores the type: it is what the parts of a claim hand each other.
alter table pgdial.calls
    add column traceparent text,
    add constraint calls_traceparent_is_w3c
        check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$') not valid;
comment on column pgdial.calls.traceparent is 'the trace that it was asked for in; says nothing about the call itself';
alter type pgdial.claimed add attribute run_at timestamptz, add attribute traceparent text;
