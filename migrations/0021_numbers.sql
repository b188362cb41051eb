-- Where the numbers of a campaign are dialled, if they come without + and country code (ISO 3166, two
-- letters); null = nowhere: each must have them.
alter table pgdial.campaigns add region text constraint campaigns_region_is_a_country check (region ~ '^[A-Z]{2}$');

-- With the region as a parameter these have another signature: the old ones would stay beside them.
drop function if exists pgdial.normal_phone(text);
drop function if exists pgdial.enqueue(text, text, jsonb, text, text, int, timestamptz, timestamptz, int, text);
