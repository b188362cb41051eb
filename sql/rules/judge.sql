-- judge: what a report means for a row. Pure; tested as an exhaustive table.
-- p_unknown: the row failed as unknown (or is held as such). p_answered: somebody has answered this call
-- already, or a person knows the outcome of its earlier claims (force). p_over: the end of the dial that the
-- report is about was reported before.
-- p_kind: progress, answered, completed (ended, and somebody or a machine had answered), capacity, ended,
-- unknown.
-- Verdicts: accept (the provider has it), answer, settle, put_back (no attempt used up), complete_late (a dial
-- that was given up was answered), late_answer (the same, but the call is over or a later dial is in flight:
-- nothing rings them again; recorded, alerted), hold (a dial that was given up is up), end_hold (such a dial is
-- over now), noted, stale, mismatch.
create or replace function pgdial.judge(
    p_state pgdial.call_state, p_claim_no bigint, p_unknown boolean, p_answered boolean, p_over boolean,
    p_event_claim_no bigint, p_kind text
) returns text
language sql immutable
as $$
    select case
        when p_event_claim_no > p_claim_no or p_event_claim_no < 1 then 'mismatch'
        when p_kind = 'unknown' then 'noted'
        when p_state in ('dialing', 'unresolved', 'in_call') and p_event_claim_no = p_claim_no then case p_kind
            when 'progress' then 'accept'
            when 'answered' then 'answer'
            when 'capacity' then 'put_back'
            else 'settle' end
        -- It is about an earlier dial, or one that is over for us.
        when p_kind in ('answered', 'completed') and not p_answered then case
            when p_state = 'waiting' or (p_state = 'failed' and p_unknown) then 'complete_late'
            else 'late_answer' end
        when p_over then 'stale'
        when p_kind in ('progress', 'answered') then 'hold'
        else 'end_hold'
    end
$$;
