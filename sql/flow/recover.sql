-- recover: after a restore, or a failover that may have lost commits (`pgdial recover`).
-- Three steps: recover_begin stops the dialing and accepts the place where the database
-- runs now; recover_listed takes what a provider lists of the lost time; recover_hold
-- holds the numbers of those calls about which no provider could be asked.

-- recover_begin: every trunk is paused, with the reason; where the database runs is noted.
-- Answers since: the time of the latest commits that are left, by what is written at
-- least every 15 s while anything runs; null = there are none.
-- Races: none: without it nothing is dialled (lanes), and with it nothing either.
create or replace function pgdial.recover_begin(p_why text, p_by text, out since timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_why constant text := 'recover: ' || coalesce(pgdial.cluster_changed() || '; ', '') || p_why;
begin
    since := greatest(
        (select max(w.seen_at) from pgdial.workers w),
        (select w.received_at from pgdial.webhook_events w order by w.received_at desc limit 1),
        (select c.created_at from pgdial.calls c order by c.id desc limit 1));
    update pgdial.trunks t set paused = true, paused_at = pgdial.now(), paused_by = p_by, paused_why = v_why
    where not t.paused;
    update pgdial.cluster k
    set system_identifier = s.system_identifier, timeline = substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        noted_at = pgdial.now()
    from pg_control_system() s;
end $$;

-- recover_listed: what a provider says of dials that it has.
-- p_items: [{id, claim_no, trunk, phone?, report, by}]; id and claim_no from the reference.
-- Verdicts: known (the row has this claim; the report counts like a webhook), adopted (the
-- claim was lost: the row has it again, and the report counts), held (the row itself was
-- lost, or has ended: the number is taken until the call is over), over (lost with its
-- row, and over by now: nothing to do), mismatch (of another trunk), locked_out.
-- Each in a guard of its own. A row that cannot be in flight (another call has its number)
-- keeps the used claim and is held; one that cannot be written at all is for a person (failed).
-- Index: primary key.
create or replace function pgdial.recover_listed(p_items jsonb)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_item record;
    v_now timestamptz;
begin
    for v_item in select * from pgdial.locked_items(p_items) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := '{}';
        if verdict is distinct from 'locked_out' then
            begin
                verdict := pgdial.recover_one(v_item.item, v_now);
            exception when integrity_constraint_violation or raise_exception or data_exception then
                detail := jsonb_build_object('why', sqlerrm);
                verdict := pgdial.recover_apart(v_item.item, v_now);
            end;
        end if;
        return next;
    end loop;
end $$;

-- recover_apart: a listed dial whose row could not be moved.
create or replace function pgdial.recover_apart(p_item jsonb, p_now timestamptz) returns text
language plpgsql volatile
as $$
declare
    v_call pgdial.calls;
begin
    select c.* into v_call from pgdial.calls c
    where c.id = (p_item ->> 'id')::uuid and c.state::text not in ('dialing', 'unresolved', 'in_call');
    if not found then
        return 'failed';
    end if;
    perform pgdial.use_up_claim(v_call, p_item, p_now);
    return 'held';
exception when integrity_constraint_violation or raise_exception or data_exception then
    return 'failed';
end $$;

-- recover_one: one listed dial; the caller holds its row, if there is one.
create or replace function pgdial.recover_one(p_item jsonb, p_now timestamptz) returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_id constant uuid := p_item ->> 'id';
    v_claim_no constant bigint := p_item ->> 'claim_no';
    v_trunk constant text := p_item ->> 'trunk';
    v_report constant jsonb := p_item -> 'report';
    v_is_over constant boolean := v_report ->> 'kind' = 'ended';
    v_call pgdial.calls;
begin
    select c.* into v_call from pgdial.calls c where c.id = v_id;
    if not found then
        return case when v_is_over then 'over' else pgdial.recover_lost_row(p_item, p_now) end;
    elsif v_call.claim_no >= v_claim_no then
        return case when pgdial.apply_report(v_id, v_claim_no, v_trunk, v_report, p_now) = 'mismatch'
                    then 'mismatch' else 'known' end;
    elsif v_call.state::text in ('waiting', 'dialing', 'unresolved', 'in_call') then
        perform pgdial.adopt(v_call, p_item, p_now);
        perform pgdial.apply_report(v_id, v_claim_no, v_trunk, v_report, p_now);
        return 'adopted';
    end if;
    -- It had ended, and was redriven in the lost time.
    perform pgdial.use_up_claim(v_call, p_item, p_now);
    return case when v_is_over then 'over' else 'held' end;
end $$;

-- use_up_claim: the reference was used, and is never used again; while that call is up,
-- its number is taken.
create or replace function pgdial.use_up_claim(p_call pgdial.calls, p_item jsonb, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_hold constant timestamptz := case when p_item #>> '{report,kind}' <> 'ended'
                                        then p_now + pgdial.longest_call(p_call.campaign) end;
begin
    update pgdial.calls c
    set claim_no = greatest(c.claim_no, (p_item ->> 'claim_no')::bigint), hold_until = greatest(c.hold_until, v_hold),
        run_at = case when c.state::text = 'waiting' then greatest(c.run_at, v_hold) else c.run_at end
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text not in ('dialing', 'unresolved', 'in_call');
    perform pgdial.note(p_call, 'recovered', p_now, jsonb_build_object(
        'by', p_item ->> 'by', 'claim_no', p_item -> 'claim_no', 'status', p_item #>> '{report,status}'));
end $$;

-- adopt: the claim that was lost is the row's again: in flight, as the provider says.
create or replace function pgdial.adopt(p_call pgdial.calls, p_item jsonb, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_claim_no constant bigint := p_item ->> 'claim_no';
    v_call pgdial.calls;
begin
    update pgdial.calls c
    set state = 'unresolved', claim_no = v_claim_no,
        attempt = c.attempt + (p_call.state::text = 'waiting')::int,
        claimed_at = p_now, claimed_by = coalesce(c.claimed_by, '00000000-0000-0000-0000-000000000000'),
        lease_until = null, deadline_at = p_now + pgdial.longest_call(c.campaign), hold_until = null,
        trunk = p_item ->> 'trunk', started_at = coalesce(c.started_at, p_now),
        provider_call_id = null, answered_at = null,
        look_up_at = null, not_found = 0, not_found_since = null, repeated_at = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text in ('waiting', 'dialing', 'unresolved', 'in_call')
    returning c.* into v_call;
    -- An active event too: it is where later reports about this claim find its trunk.
    perform pgdial.note(v_call, 'active', p_now, jsonb_build_object('trunk', v_call.trunk, 'recovered', true));
    perform pgdial.note(v_call, 'recovered', p_now, jsonb_build_object(
        'by', p_item ->> 'by', 'was', p_call.state, 'was_claim_no', p_call.claim_no));
end $$;

-- recover_lost_row: its enqueue was lost, but it rings: a row that takes the number until
-- the provider reports the end. Without a number there is nothing to take.
create or replace function pgdial.recover_lost_row(p_item jsonb, p_now timestamptz) returns text
language plpgsql volatile
as $$
declare
    v_phone constant text := pgdial.normal_phone(p_item ->> 'phone');
    v_call pgdial.calls;
begin
    if v_phone is null then
        return 'failed';
    end if;
    insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, state, attempt, claim_no,
                              claimed_at, trunk, provider_call_id, outcome, hold_until, last_error,
                              owner, request_hash, created_at, started_at, ended_at)
    values ((p_item ->> 'id')::uuid, v_phone, 'default', '(lost)', p_now, 1, 'failed', 1, (p_item ->> 'claim_no')::bigint,
            p_now, p_item ->> 'trunk', p_item #>> '{report,provider_call_id}', 'unknown',
            p_now + pgdial.longest_call('default'), 'its request was lost with the database, but it rings',
            p_item ->> 'by', '', p_now, p_now, p_now)
    returning * into v_call;
    perform pgdial.note(v_call, 'active', p_now, jsonb_build_object('trunk', v_call.trunk, 'recovered', true));
    perform pgdial.note(v_call, 'recovered', p_now, jsonb_build_object('by', p_item ->> 'by'));
    return 'held';
end $$;

-- longest_call: from the request to the last moment at which a call of this campaign is up.
create or replace function pgdial.longest_call(p_campaign text) returns interval
language sql stable
as $$
    select coalesce((select g.ring_timeout + g.max_duration from pgdial.campaigns g where g.name = p_campaign),
                    '31 minutes') + '2 minutes'::interval
$$;

-- recover_hold: calls of a trunk whose provider could not say what it has. Each that was
-- due may have been dialled in the lost time: its number is held for as long as such a
-- call could last, and its claim_no leaps, so that no reference is ever used twice.
-- Answers how many rows; call it until that is 0. Rows that somebody holds are passed over.
-- Index: calls_claimable.
create or replace function pgdial.recover_hold(p_trunk text, p_by text, p_limit int default 5000) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_n int;
begin
    with due as (
        select c.id from pgdial.calls c join pgdial.campaigns g on g.name = c.campaign
        where c.state = 'waiting' and g.trunk = p_trunk and c.run_at <= v_now
          and (c.hold_until is null or c.hold_until <= v_now)
        limit p_limit for update of c skip locked
    ), held as (
        update pgdial.calls c
        set claim_no = c.claim_no + 1000, hold_until = v_now + pgdial.longest_call(c.campaign),
            run_at = v_now + pgdial.longest_call(c.campaign)
        where c.id = any (array(select d.id from due d))
        returning c.*
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select v_now, h.id, h.claim_no, h.attempt, 'held', jsonb_build_object(
            'by', p_by, 'why', 'it may have been dialled in the lost time', 'until', h.hold_until)
        from held h
    )
    select count(*)::int into v_n from held;
    return v_n;
end $$;
