-- Dispositions: what a conversation came to, in one word, and what follows from it in the same transaction.
--   do_not_call: all numbers of the call join the do-not-call list, in the scope of its campaign.
--   callback: a new call to the same person at the time that they asked for.
--   wrong_number: no retry, but of several numbers the next one (decide_ending).
--   not_interested: no retry, and no more than that.
-- No other word has an effect.

-- settles_it: after this disposition an attempt is not tried again at its number, however it ended.
create or replace function pgdial.settles_it(p_disposition text) returns boolean
language sql immutable
as $$ select coalesce(p_disposition in ('do_not_call', 'callback', 'wrong_number', 'not_interested'), false) $$;

-- disposition_of: the report's own word, else that of the first rule of the campaign that finds something in
-- the result; and the time of a callback, from the report, else from a rule.
-- p_said: of report_said. problem: the rules that could not be judged. Such a rule finds nothing: it must not keep
-- a call from ending.
create or replace function pgdial.disposition_of(
    p_campaign pgdial.campaigns, p_said jsonb, p_result jsonb,
    out disposition text, out callback_at timestamptz, out problem text
)
language plpgsql stable
as $$
declare
    v_rule jsonb;
    v_holds boolean;
    v_at timestamptz;
    v_problems text[] := '{}';
begin
    disposition := substring(p_said ->> 'disposition' from '^[a-z][a-z0-9_]{0,62}$');
    callback_at := pgdial.read_timestamp(p_said ->> 'callback_at');
    if p_campaign.disposition_rules is null or p_result is null then
        return;
    end if;
    for v_rule in select r from jsonb_array_elements(p_campaign.disposition_rules) r loop
        continue when disposition is not null
            and (disposition <> 'callback' or callback_at is not null or v_rule ->> 'disposition' is distinct from 'callback');
        begin
            v_holds := p_result @? (v_rule ->> 'when')::jsonpath;
            v_at := case when v_holds and v_rule ? 'callbackAt' then pgdial.read_timestamp(
                jsonb_path_query_first(p_result, (v_rule ->> 'callbackAt')::jsonpath, '{}', true) #>> '{}') end;
        exception when others then
            v_problems := v_problems || format('%s: %s', v_rule ->> 'disposition', left(sqlerrm, 200));
            v_holds := false;
        end;
        if v_holds then
            disposition := coalesce(disposition, v_rule ->> 'disposition');
            callback_at := coalesce(callback_at, v_at);
        end if;
    end loop;
    if disposition !~ '^[a-z][a-z0-9_]{0,62}$' then     -- a row written by hand
        disposition := null;
    end if;
    problem := nullif(array_to_string(v_problems, '; '), '');
end $$;

-- rules_problem: what is wrong with the rules of a campaign, and what to do; null: nothing.
create or replace function pgdial.rules_problem(p_rules jsonb) returns text
language plpgsql stable
as $$
declare
    v_rule jsonb;
    v_n bigint;
    v_problem text;
begin
    if jsonb_typeof(p_rules) <> 'array' or jsonb_array_length(p_rules) not between 1 and 20 then
        return 'must be a list of 1 to 20 rules, as in [{"disposition": "do_not_call", "when": "$.analysis ? (@.optOut == true)"}], or null for none';
    end if;
    for v_rule, v_n in select r, n from jsonb_array_elements(p_rules) with ordinality as e (r, n) loop
        v_problem := case
            when jsonb_typeof(v_rule) <> 'object' or v_rule - '{disposition,when,callbackAt}'::text[] <> '{}'
                then 'is an object with "disposition", "when" and, for a callback, "callbackAt"'
            when coalesce(v_rule ->> 'disposition', '') !~ '^[a-z][a-z0-9_]{0,62}$'
                then '"disposition" must be 1 to 63 lower-case letters, digits and underscores, as in "not_interested"'
            when v_rule ? 'callbackAt' and v_rule ->> 'disposition' <> 'callback'
                then '"callbackAt" belongs to the disposition "callback"'
            else coalesce('"when" ' || pgdial.jsonpath_problem(v_rule -> 'when', true),
                          '"callbackAt" ' || case when v_rule ? 'callbackAt' then pgdial.jsonpath_problem(v_rule -> 'callbackAt', false) end)
            end;
        if v_problem is not null then
            return format('rule %s: %s', v_n, v_problem);
        end if;
    end loop;
    return null;
end $$;

-- jsonpath_problem: what is wrong with a jsonpath of a rule, and what to do; null: nothing.
-- One that reads the whole result once for each of its values would take minutes, while others wait for the
-- statement: hence one $ and one ** at most, which makes the work proportional to the result.
-- p_is_condition: it must be able to find nothing. A comparison outside a filter always finds its own truth value.
create or replace function pgdial.jsonpath_problem(p_path jsonb, p_is_condition boolean) returns text
language plpgsql stable
as $$
declare
    v_path constant text := p_path #>> '{}';
    -- Without what stands in quotes; chr(92): a backslash, which may escape a quote.
    v_bare constant text := regexp_replace(
        replace(replace(v_path, repeat(chr(92), 2), ''), chr(92) || '"', ''), '"[^"]*"', '""', 'g');
begin
    if jsonb_typeof(p_path) is distinct from 'string' then
        return 'must be a string with a jsonpath, as in "$.analysis ? (@.optOut == true)"';
    elsif length(v_path) > 500 then
        return 'has more than 500 characters';
    elsif v_bare ~ '[$].*[$]' or v_bare ~ '[*][*].*[*][*]' then
        return 'may have one $ and one ** at most: write the rest of the condition into a filter with @';
    elsif p_is_condition and coalesce(
            jsonb_typeof(jsonb_path_query_first('{}', v_path::jsonpath, '{}', true)), '') in ('boolean', 'null') then
        return 'is true of every result: write the condition as a filter, as in "$ ? (@.optOut == true)"';
    end if;
    perform jsonb_path_query_first('{}', v_path::jsonpath, '{}', true);
    return null;
exception when others then
    return 'is no jsonpath: ' || sqlerrm;
end $$;

-- act_on: what follows from a disposition. The caller holds the row of p_call, whose claim_no and attempt are
-- those that the disposition is about. Once per claim, however often it is reported.
create or replace function pgdial.act_on(
    p_call pgdial.calls, p_disposition text, p_callback_at timestamptz, p_now timestamptz
) returns void
language plpgsql volatile
as $$
begin
    if p_call.phone = 'forgotten' then
        return;
    elsif p_disposition = 'do_not_call' then
        perform pgdial.opt_out(p_call, p_now);
    elsif p_disposition = 'callback' then
        perform pgdial.call_back(p_call, p_callback_at, p_now);
    end if;
end $$;

-- opt_out: the callee does not want to be called again, at none of the numbers. Calls that wait are passed over by the claim from the
-- commit on, and suppressed by the sweep.
-- Races: an open transaction that adds the same entry would hold up whatever is settled with this call, so it
-- is waited for only briefly. The error keeps the event parked, and the sweep tries again.
create or replace function pgdial.opt_out(p_call pgdial.calls, p_now timestamptz) returns void
language plpgsql volatile
set lock_timeout = '200ms'
as $$
declare
    v_topic text := '';
    v_campaign text := '';
    v_reason constant text := format('asked not to be called again, in call %s', p_call.id);
    v_phone text;
    v_changed boolean := false;
begin
    select case g.opt_out_scope when 'topic' then coalesce(g.topic, '') else '' end,
           case g.opt_out_scope when 'campaign' then g.name else '' end
    into v_topic, v_campaign from pgdial.campaigns g where g.name = p_call.campaign;
    begin
        for v_phone in select n from unnest(coalesce(p_call.numbers, array[p_call.phone])) n order by n loop
            if pgdial.list_number(v_phone, coalesce(v_topic, ''), coalesce(v_campaign, ''), null, v_reason, 'callee', p_now) then
                perform pgdial.note_act('do_not_call_add', 'number', v_phone, 'callee', v_reason, jsonb_build_object(
                    'topic', nullif(v_topic, ''), 'campaign', nullif(v_campaign, '')));
                v_changed := true;
            end if;
        end loop;
    exception when lock_not_available or deadlock_detected then
        raise exception 'another transaction adds this number to the do-not-call list';
    end;
    if not v_changed then
        return;
    end if;
    perform pgdial.note(p_call, 'opted_out', p_now, jsonb_build_object(
        'topic', nullif(v_topic, ''), 'campaign', nullif(v_campaign, '')));
end $$;

-- list_number: add or extend an entry. Returns whether the list changed.
create or replace function pgdial.list_number(
    p_phone text, p_topic text, p_campaign text, p_until timestamptz, p_reason text, p_by text, p_now timestamptz
) returns boolean
language plpgsql volatile
as $$
begin
    insert into pgdial.do_not_call as d (phone, topic, campaign, until, reason, by, at)
    values (p_phone, p_topic, p_campaign, p_until, p_reason, p_by, p_now)
    on conflict (phone, topic, campaign) do update
        set until = excluded.until, reason = excluded.reason, by = excluded.by, at = excluded.at, pending = true
        where d.until < coalesce(excluded.until, 'infinity');
    return found;
end $$;

-- call_back: a call of its own, with its own attempts, at the time that the callee asked for; within hours,
-- limits and lists like any other. Without a usable time only the wish is recorded.
-- It is no repeat of a call that was answered (P1): the callee asked for it. Of several numbers, it starts with the
-- one at which they did.
create or replace function pgdial.call_back(p_call pgdial.calls, p_at timestamptz, p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_id uuid := pgdial.uuid_v7_of((extract(epoch from p_now) * 1000000)::bigint);
    v_run_at constant timestamptz := greatest(p_at, p_now);
    v_phone text := pgdial.dialled(p_call, p_call.claim_no);
    v_why text;
begin
    if exists (select from pgdial.call_events e
               where e.call_id = p_call.id and e.claim_no = p_call.claim_no and e.kind = 'callback'
                 and (e.detail ? 'call' or (e.detail ->> 'callback_at')::timestamptz is not distinct from p_at)) then
        return;
    end if;
    v_why := case when p_at is null then 'no time was given: enqueue a call'
                  -- Mistaken dates lie years back; a time that has just passed means at once.
                  when p_at < p_now - '1 day'::interval then 'the time lies in the past: enqueue a call'
                  when p_at > p_now + '60 days'::interval then 'the time lies more than 60 days ahead: enqueue a call'
                  end;
    if v_why is null then
        v_phone := pgdial.next_number(coalesce(p_call.numbers, array[p_call.phone]), array_position(p_call.numbers, v_phone),
                                      p_call.invalid_numbers, p_call.campaign, p_now);
        v_why := pgdial.forbidden(p_call, v_phone, p_now);
    end if;
    if v_why is null then
        begin
            insert into pgdial.calls (
                id, phone, numbers, invalid_numbers, campaign, script_id, metadata, timezone, region, area, from_number, priority, run_at,
                max_attempts, owner, request_hash, created_at, traceparent, consent_at, consent_ref, consent_expires_at,
                callback_of)
            values (v_id, v_phone, p_call.numbers, p_call.invalid_numbers, p_call.campaign, p_call.script_id, p_call.metadata,
                p_call.timezone, p_call.region, pgdial.area_of(v_phone, p_call.timezone, p_call.region), p_call.from_number,
                p_call.priority, v_run_at, p_call.max_attempts, p_call.owner, '', p_now, p_call.traceparent,
                p_call.consent_at, p_call.consent_ref, p_call.consent_expires_at, p_call.id);
            insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
            values (p_now, v_id, 0, 0, 'waiting', jsonb_build_object(
                'owner', p_call.owner, 'run_at', v_run_at, 'callback_of', p_call.id));
        exception when integrity_constraint_violation or raise_exception or data_exception then
            v_why := sqlerrm;   -- a constraint or trigger of the user's: the call itself still ends
        end;
    end if;
    perform pgdial.note(p_call, 'callback', p_now, jsonb_build_object(
        'callback_at', p_at, 'call', case when v_why is null then v_id end, 'why', v_why));
end $$;

-- dispose_late: the disposition that a report brings after the end of its attempt, with all that follows. The
-- later word counts, except that do_not_call stays.
-- p_detail: with report_said. p_result: the attempt's result, with what the report added. Returns whether anything
-- changed.
-- The caller holds the row. Bounded like add_result, but an opt-out is never refused.
create or replace function pgdial.dispose_late(
    p_call pgdial.calls, p_claim_no bigint, p_detail jsonb, p_result jsonb, p_now timestamptz
) returns boolean
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_campaign pgdial.campaigns;
    v_said record;
    v_had record;
begin
    select g.* into v_campaign from pgdial.campaigns g where g.name = p_call.campaign;
    select d.* into v_said from pgdial.disposition_of(v_campaign, p_detail, p_result) d;
    if v_said.disposition is null then
        return false;
    end if;
    select a.attempt, a.disposition, a.callback_at into v_had from pgdial.attempts a
    where a.call_id = p_call.id and a.claim_no = p_claim_no;
    if not found or v_had.disposition = 'do_not_call' and v_said.disposition <> 'do_not_call'
       or v_had.disposition = v_said.disposition
          and (v_said.callback_at is null or v_had.callback_at = v_said.callback_at)
       or v_said.disposition <> 'do_not_call'
          and (select count(*) from pgdial.call_events e where e.call_id = p_call.id and e.kind = 'disposition') >= 20 then
        return false;
    end if;
    update pgdial.calls c set disposition = v_said.disposition
    where c.id = p_call.id and (c.claim_no = p_claim_no or c.disposition is null)
      and c.state::text not in ('dialing', 'unresolved', 'in_call');
    update pgdial.dials d set disposition = v_said.disposition
    where d.phone = pgdial.dialled(p_call, p_claim_no) and d.call_id = p_call.id and d.claim_no = p_claim_no;
    perform pgdial.note_disposition(p_call.id, p_claim_no, v_said.disposition);
    p_call.claim_no := p_claim_no;
    p_call.attempt := v_had.attempt;
    perform pgdial.note(p_call, 'disposition', p_now, p_detail - 'why' - 'ended' || jsonb_build_object(
        'disposition', v_said.disposition, 'callback_at', v_said.callback_at, 'rule_error', v_said.problem));
    perform pgdial.act_on(p_call, v_said.disposition, v_said.callback_at, p_now);
    return true;
end $$;
