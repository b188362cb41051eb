-- What a provider can be asked about a dial that nobody has explained.

alter table pgdial.trunks add column look_up text not null default 'none'
    check (look_up in ('none', 'hint', 'authoritative'));
comment on column pgdial.trunks.look_up is
    'none: cannot be asked; hint: what it knows counts, what it does not know proves nothing; '
    'authoritative: what it does not know, several times over a window, was not placed';

-- Of the present claim; the claim clears them.
alter table pgdial.calls
    add column look_up_at timestamptz,             -- when the sweep asks next; null = by its state
    add column not_found int not null default 0,   -- how often the provider did not know it
    add column not_found_since timestamptz;
