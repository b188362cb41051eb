-- judge: what a report means for a row. Pure; tested as an exhaustive table.
-- p_unknown: the row failed as unknown (or is held as such).  p_kind: progress,
-- answered, completed (ended after an answer or by voicemail), capacity, ended, unknown.
-- Verdicts: accept (it is at the provider), answer, settle, put_back (no attempt used up),
-- complete_late (a dial that was given up was answered), late_answer (the same, but a
-- later dial is in flight: recorded, alerted), noted, stale, mismatch.
create or replace function pgdial.judge(
    p_state pgdial.call_state, p_claim_no bigint, p_unknown boolean,
    p_event_claim_no bigint, p_kind text
) returns text
language sql immutable
as $$
    select case
        when p_event_claim_no > p_claim_no or p_event_claim_no < 1 then 'mismatch'
        when p_kind = 'unknown' then 'noted'
        when p_state in ('dialing', 'unresolved', 'in_call') then case
            when p_event_claim_no = p_claim_no then case p_kind
                when 'progress' then 'accept'
                when 'answered' then 'answer'
                when 'capacity' then 'put_back'
                else 'settle' end
            when p_kind in ('answered', 'completed') then 'late_answer'
            else 'stale' end
        when p_kind in ('answered', 'completed')
             and (p_state = 'waiting' or (p_state = 'failed' and p_unknown)) then 'complete_late'
        else 'stale'
    end
$$;
