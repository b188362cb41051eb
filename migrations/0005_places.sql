-- Places: where the callee of a number may be.

-- What is known of a place: from the number, and from the caller. Interned, never updated. Which of the two counts is
-- a setting (zone_basis), so that nothing stored with a call depends on one.
create table pgdial.areas (
    id int generated always as identity primary key,   -- what calls.area refers to
    zones text[] not null,                -- IANA, sorted; empty: not known, and so closed
    regions text[] not null default '{}', -- ISO 3166, sorted: a part of a country, or a country whose part is not known
    timezone text[],                      -- IANA, as the caller said; null: not said
    region text,                          -- a part of a country (ISO 3166), as the caller said; null: not said
    given_zones text[],                   -- timezone, or else those of region; null: neither was given
    unique nulls not distinct (zones, regions, timezone, region)
);

-- Changes with every row that calling hours are judged by: what a session remembers of them is void then.
create table pgdial.rules_version (
    only_row boolean primary key default true check (only_row),   -- always true: the table has one row
    version bigint not null default 0                             -- only grows
) with (fillfactor = 10);
insert into pgdial.rules_version default values;
