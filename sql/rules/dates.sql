-- A campaign's dates: no dial before starts_at, and none that could still begin to ring at or after ends_at.

-- is_on: do the dates of this campaign allow a dial that is sent between these instants?
create or replace function pgdial.is_on(p_campaign text, p_from timestamptz, p_until timestamptz) returns boolean
language plpgsql stable
as $$
begin
    return not exists (select from pgdial.campaigns g
                       where g.name = p_campaign and (g.starts_at > p_from or g.ends_at <= p_until));
end $$;

-- end_in_words: that a campaign is over, for events and people.
create or replace function pgdial.end_in_words(p_campaign text, p_ends_at timestamptz) returns text
language plpgsql immutable
as $$
begin
    return format('campaign %s ended at %s', p_campaign, pgdial.in_utc(p_ends_at));
end $$;
