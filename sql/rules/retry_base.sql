-- retry_base: the base of the backoff after an outcome; null = it is not retried. No retry after an answer,
-- whatever came afterwards: the person has already spoken to us. A machine is no person.
create or replace function pgdial.retry_base(p_campaign pgdial.campaigns, p_outcome pgdial.outcome) returns interval
language sql immutable
as $$
    select case p_outcome
        when 'busy' then p_campaign.busy_base
        when 'no_answer' then p_campaign.no_answer_base
        when 'unreachable' then p_campaign.fault_base
        when 'provider_fault' then p_campaign.fault_base
        when 'voicemail' then case when p_campaign.voicemail = 'retry' then p_campaign.voicemail_base end
    end
$$;
