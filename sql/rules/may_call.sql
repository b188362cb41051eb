-- Whether a call may be dialled at all, whatever the time: the do-not-call list, and consent.

-- covers: does this entry of the list forbid calls of this campaign now?
create or replace function pgdial.covers(p_entry pgdial.do_not_call, p_campaign text, p_now timestamptz) returns boolean
language plpgsql stable
as $$
begin
    -- Without a query for most entries: a claim may ask about a crowd.
    if p_entry.until <= p_now or p_entry.campaign <> '' and p_entry.campaign is distinct from p_campaign then
        return false;
    elsif p_entry.topic = '' then
        return true;
    end if;
    return exists (select from pgdial.campaigns g where g.name = p_campaign and g.topic = p_entry.topic);
end $$;

-- listed: why the list forbids calls of this campaign to this number now; null: it does not. The words of the
-- widest entry.
create or replace function pgdial.listed(p_phone text, p_campaign text, p_now timestamptz) returns text
language plpgsql stable
as $$
begin
    return (select d.reason from pgdial.do_not_call d
            where d.phone = p_phone and pgdial.covers(d, p_campaign, p_now)
            order by d.topic <> '', d.campaign <> '' limit 1);
end $$;

-- consent_problem: consent_missing, consent_expired, or null: the call's campaign requires none, or there is
-- one. pick_from repeats it, because it asks once per campaign whether consent is required.
create or replace function pgdial.consent_problem(p_call pgdial.calls, p_now timestamptz) returns text
language plpgsql stable
as $$
begin
    if not coalesce((select g.require_consent from pgdial.campaigns g where g.name = p_call.campaign), false) then
        return null;
    end if;
    return case when p_call.consent_at is null then 'consent_missing'
                when p_call.consent_expires_at <= p_now then 'consent_expired' end;
end $$;

-- consent_words: a consent_problem, and what to do.
create or replace function pgdial.consent_words(p_problem text, p_campaign text, p_expires_at timestamptz) returns text
language plpgsql immutable
as $$
begin
    return case p_problem
        when 'consent_missing' then format('campaign %s requires consent, and the call has none: say "consentAt"', p_campaign)
        when 'consent_expired' then format('campaign %s requires consent, and that of the call expired at %s',
                                           p_campaign, pgdial.in_utc(p_expires_at)) end;
end $$;

-- forbidden: why this call must not be dialled at this number, in words; null: it may be, as far as list and consent
-- go. p_phone: null: the list forbids all its numbers that could be rung (next_number).
create or replace function pgdial.forbidden(p_call pgdial.calls, p_phone text, p_now timestamptz) returns text
language plpgsql stable
as $$
begin
    return coalesce(case when p_phone is null and p_call.numbers is not null then 'none of its numbers may be rung: ' || (
                             select l.reason from unnest(p_call.numbers) with ordinality u (number, n)
                                  cross join pgdial.listed(u.number, p_call.campaign, p_now) l (reason)
                             where l.reason is not null order by u.n limit 1)
                         else pgdial.listed(coalesce(p_phone, p_call.phone), p_call.campaign, p_now) end,
                    pgdial.consent_words(pgdial.consent_problem(p_call, p_now), p_call.campaign, p_call.consent_expires_at));
end $$;
