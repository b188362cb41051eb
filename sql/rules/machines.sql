-- Answering machines: what a provider is told to do about them, and what it reports.

-- to_hang_up: the calls whose callees have had as many voicemails as a limit allows: no further one is left.
create or replace function pgdial.to_hang_up(p_picked pgdial.picked[], p_now timestamptz) returns uuid[]
language plpgsql stable
as $$
begin
    if not exists (select from pgdial.contact_limits l where l.counts = 'voicemails') then
        return '{}';
    end if;
    return array(select h.id from pgdial.held(array(select p.id from unnest(p_picked) p), p_now, true) h);
end $$;

-- can_hang_up: can the platform of this trunk be told with a call to hang up on machines?
create or replace function pgdial.can_hang_up(p_trunk text) returns boolean
language plpgsql stable
as $$
begin
    return coalesce((select a.declares -> 'answeringMachine' ? 'hang_up' from pgdial.trunk_adapter a where a.trunk = p_trunk), false);
end $$;

-- campaign_conflicts: settings that have no effect on the campaign's trunk, with what follows.
create or replace function pgdial.campaign_conflicts(p_campaign pgdial.campaigns) returns text[]
language sql stable
as $$
    select coalesce(array_agg(format('the platform of trunk %s cannot be told with a call to %s: set up its script to do so',
                                     p_campaign.trunk, case p_campaign.answering_machine
                                         when 'hang_up' then 'hang up on machines' else 'leave a message' end)), '{}')
    from pgdial.trunk_adapter a
    where a.trunk = p_campaign.trunk and p_campaign.answering_machine <> 'ignore'
      and jsonb_typeof(a.declares -> 'answeringMachine') = 'array'
      and not a.declares -> 'answeringMachine' ? p_campaign.answering_machine
$$;

-- who_answered: human, machine or fax, in whatever words a report says it; null: it does not say.
create or replace function pgdial.who_answered(p_report jsonb) returns text
language sql immutable
as $$
    select pgdial.who_is_meant(coalesce(p_report -> 'result' ->> 'answeredBy', p_report -> 'result' ->> 'answered_by'))
$$;

-- who_is_meant: by one word. Separate, so that both are inlined: a batch asks it of each report.
create or replace function pgdial.who_is_meant(p_word text) returns text
language sql immutable
as $$
    select case when p_word ~* '^(machine|voice_?mail|answering.?machine)' then 'machine'
                when p_word ~* '^fax' then 'fax'
                when p_word ~* '^(human|person)' then 'human' end
$$;

-- heard_who: a report before the end says who has answered. A person stays: they may have come to the telephone
-- after a machine, and are not rung again.
create or replace function pgdial.heard_who(p_call pgdial.calls, p_report jsonb, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_who constant text := pgdial.who_answered(p_report);
begin
    update pgdial.calls c set answered_by = v_who
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state::text = 'in_call'
      and v_who is distinct from c.answered_by and v_who is not null and c.answered_by is distinct from 'human';
    if found and v_who <> 'human' then     -- whoever answers is a person, unless told otherwise
        perform pgdial.note(p_call, 'answered_by', p_now, jsonb_build_object('who', v_who));
    end if;
end $$;

-- was_machine: did this dial end as voicemail, and is its call tried again? Then its other reports, a repeated one
-- of its end or a late one of its answer, say nothing new: nobody was there.
-- Index: call_events_by_call.
create or replace function pgdial.was_machine(p_call_id uuid, p_claim_no bigint) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from pgdial.call_events e
                   where e.call_id = p_call_id and e.claim_no = p_claim_no and e.kind = 'retried'
                     and e.detail ->> 'outcome' = 'voicemail');
end $$;
