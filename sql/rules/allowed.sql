-- allowed: why this dial was allowed, as far as the row and its campaign do not show that later any more; for the event
-- of the claim. '{}' where nothing but the do-not-call list was asked, which the claim always does, as of the event's
-- own time.
-- p_shared: the contact limits that hold for every campaign.
create or replace function pgdial.allowed(p_call pgdial.calls, p_campaign pgdial.campaigns, p_shared text[]) returns jsonb
language plpgsql stable
as $$
declare
    v_limits constant text[] := p_shared || p_campaign.contact_limits;
    v_area pgdial.areas;
    v_basis text;
begin
    if p_campaign.calling_hours is null and p_call.consent_at is null and v_limits = '{}' then
        return '{}';
    end if;
    if p_campaign.calling_hours is not null then
        select a.* into v_area from pgdial.areas a where a.id = p_call.area;
        v_basis := pgdial.basis_of(p_campaign.calling_hours, p_campaign.zone_basis);
    end if;
    return jsonb_build_object('allowed', jsonb_strip_nulls(jsonb_build_object(
        'hours', p_campaign.calling_hours, 'zones', pgdial.callee_zones(v_basis, v_area),
        'regions', pgdial.callee_regions(v_basis, v_area), 'limits', nullif(v_limits, '{}'),
        'consentAt', p_call.consent_at, 'consentRef', p_call.consent_ref, 'consentExpiresAt', p_call.consent_expires_at)));
end $$;
