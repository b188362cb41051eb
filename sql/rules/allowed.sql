-- allowed: why this dial was allowed, as far as the row and its campaign do not show that later any more; for the event
-- of the claim. '{}' where nothing but the do-not-call list was asked, which the claim always does, as of the event's
-- own time.
-- p_basis: the zone basis that is in effect. p_shared: the contact limits that hold for every campaign.
create or replace function pgdial.allowed(
    p_call pgdial.calls, p_campaign pgdial.campaigns, p_basis text, p_shared text[]
) returns jsonb
language plpgsql stable
as $$
declare
    v_limits constant text[] := p_shared || p_campaign.contact_limits;
begin
    if p_campaign.calling_hours is null and p_call.consent_at is null and v_limits = '{}' then
        return '{}';
    end if;
    return jsonb_build_object('allowed', jsonb_strip_nulls(jsonb_build_object(
        'hours', p_campaign.calling_hours,
        -- An area is never changed; what its basis was could be.
        'area', case when p_campaign.calling_hours is not null then p_call.area end,
        'basis', case when p_campaign.calling_hours is not null then p_basis end,
        'limits', nullif(v_limits, '{}'),
        'consentAt', p_call.consent_at, 'consentRef', p_call.consent_ref, 'consentExpiresAt', p_call.consent_expires_at)));
end $$;
