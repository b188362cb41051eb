-- is_its_account: does a process with these trunks (p_accounts: where each of them dials, in the same order)
-- speak for the account that this dial was sent to? Only then may it ask about the dial, repeat it or end it:
-- what another account does not know proves nothing. True if either account is not stated.
create or replace function pgdial.is_its_account(p_call pgdial.calls, p_trunks text[], p_accounts text[]) returns boolean
language sql immutable
as $$
    select coalesce(p_call.account = p_accounts[array_position(p_trunks, p_call.trunk)], true)
$$;

-- account_is_gone: a live worker has the trunk of this dial, but none the account that it was sent to.
create or replace function pgdial.account_is_gone(p_call pgdial.calls) returns boolean
language plpgsql stable
as $$
begin
    return p_call.account is not null and coalesce((
        select not bool_or(pgdial.is_its_account(p_call, w.trunks, w.accounts))
        from pgdial.live_workers w where p_call.trunk = any (w.trunks)), false);
end $$;
