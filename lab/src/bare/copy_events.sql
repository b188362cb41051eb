-- Their events by COPY.
copy bare.call_events (at, call_id, claim_no, attempt, kind, detail) from stdin
