-- The same calls by COPY.
copy bare.calls (id, phone, campaign, script_id, metadata, run_at, max_attempts, owner, request_hash, created_at) from stdin
