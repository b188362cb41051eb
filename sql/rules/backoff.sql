-- backoff: min(cap, base * 2^(attempt-1)), with jitter 0.8 to 1.2 so that calls
-- that failed together do not come back together.
create or replace function pgdial.backoff(p_base interval, p_cap interval, p_attempt int) returns interval
language sql volatile
as $$
    select least(p_cap, p_base * (2 ^ least(greatest(p_attempt, 1) - 1, 30))) * (0.8 + 0.4 * random())
$$;
