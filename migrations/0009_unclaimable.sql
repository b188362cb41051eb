-- Waiting calls that could not be claimed (a constraint, somebody's trigger): the claim passes
-- them over for a while. Beside the rows, because some of them cannot be written at all.
create table pgdial.unclaimable (
    call_id uuid primary key,
    until timestamptz not null,
    why text not null
);
