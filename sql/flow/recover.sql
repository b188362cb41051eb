-- recover: after a restore, or a failover that may have lost commits (`pgdial recover`). recover_begin stops
-- the dialing and determines since when commits may be lost; recover_listed takes the calls a provider lists
-- for that time; recover_hold holds a trunk whose provider could not be asked; recover_end accepts the place
-- where the database runs now. Without the last step nothing is dialled (lanes), and the next try starts from
-- the same time.

-- recover_begin: pauses every trunk, with the reason, and raises future claims above any that may be lost.
-- p_since: since when commits may be lost; null = a minute before a worker last found the database where it was
-- noted. Returns that time, or the earlier one of a recovery begun before; null = nothing has changed, so
-- p_since must be given.
create or replace function pgdial.recover_begin(
    p_since timestamptz, p_why text, p_by text, out since timestamptz
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_changed text;
    v_cluster pgdial.cluster;
begin
    perform pgdial.raise_sequences();
    perform set_config('pgdial.here', '', false);      -- now, not a second ago
    v_changed := pgdial.cluster_changed();
    select k.* into v_cluster from pgdial.cluster k for update;
    since := least(v_cluster.lost_since, coalesce(p_since,
        case when v_changed is not null then v_cluster.seen_at - '1 minute'::interval end));
    if since is null then
        return;
    end if;
    update pgdial.trunks t
    set paused = true, paused_at = pgdial.now(), paused_by = p_by,
        paused_why = 'recover: ' || coalesce(v_changed || '; ', '') || p_why
    where not t.paused;
    update pgdial.cluster k
    -- Beyond any claim ever made: no reference of a lost claim is used again.
    set lost_since = since,
        claim_floor = k.claim_floor + case when k.lost_since is null then 1000000 else 0 end;
    perform pgdial.note_act('recover_begin', 'cluster', null, p_by, p_why,
                            jsonb_build_object('since', since, 'changed', v_changed));
end $$;

-- recover_listed: what a provider reports of the dials that it has.
-- p_items: [{id, claim_no, trunk, phone?, account?, report}]; id and claim_no from the reference.
-- Verdicts: known (the row has this claim; the report counts like a webhook), adopted (the claim was lost: the
-- row has it again, and the report counts), held (the row itself was lost, has ended, or another call has its
-- number: the number is taken until the call is over), over (lost with its row, and already over: nothing to
-- do), mismatch (of another trunk, or sent to another account than the one that lists it), refused (a person
-- must look: detail.why), locked_out.
-- Index: primary key.
create or replace function pgdial.recover_listed(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
    return query select * from pgdial.each('recover_one', p_items, p_wait, true);
end $$;

-- recover_one: see each. The call may not exist.
create or replace function pgdial.recover_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_claim_no constant bigint := p_item ->> 'claim_no';
    v_trunk constant text := p_item ->> 'trunk';
    v_report constant jsonb := p_item -> 'report';
begin
    verdict := 'known';
    if p_call.id is null then
        verdict := case when v_report ->> 'kind' = 'ended' then 'over' else pgdial.recover_lost_row(p_item, p_now) end;
        return;
    elsif v_claim_no = p_call.claim_no and p_call.account <> p_item ->> 'account' then
        verdict := 'mismatch';
        return;
    elsif v_claim_no > p_call.claim_no then
        if v_claim_no > pgdial.claim_floor() then
            raise exception 'claim % was never made: the last recovery allows for %', v_claim_no, pgdial.claim_floor();
        end if;
        verdict := pgdial.take_lost_claim(p_call, v_claim_no, v_trunk, v_report, p_now);
    end if;
    if pgdial.apply_report(p_call.id, v_claim_no, v_trunk, v_report, p_now) = 'mismatch' then
        verdict := 'mismatch';
    end if;
end $$;

-- recover_lost_row: the enqueue was lost, but the call rings: insert a row that takes the number until the
-- provider reports the end. Without a number there is nothing to take. The numbering plan is not checked: the
-- number rings whatever the plan says.
create or replace function pgdial.recover_lost_row(p_item jsonb, p_now timestamptz) returns text
language plpgsql volatile
as $$
declare
    v_phone constant text := coalesce(pgdial.normal_phone(p_item ->> 'phone'),
                                      substring(p_item ->> 'phone' from '^[+][1-9][0-9]{6,14}$'));
    v_call pgdial.calls;
begin
    if v_phone is null then
        raise exception 'a call that rings was lost with its row, and the provider does not list its number';
    end if;
    insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, state, attempt, claim_no,
                              claimed_at, trunk, provider_call_id, outcome, hold_until, last_error,
                              ring_timeout_sec, max_duration_sec,
                              owner, request_hash, created_at, started_at, ended_at)
    select (p_item ->> 'id')::uuid, v_phone, 'default', '(lost)', p_now, 1, 'failed', 1, (p_item ->> 'claim_no')::bigint,
           p_now, p_item ->> 'trunk', p_item #>> '{report,provider_call_id}', 'unknown',
           p_now + pgdial.longest_call(), 'its request was lost with the database, but it rings',
           t.ring_timeout_sec, t.max_duration_sec, 'recover', '', p_now, p_now, p_now
    from pgdial.longest_told(null) t
    returning * into v_call;
    perform pgdial.note_lost_claim(v_call, v_call, v_call.trunk, p_item -> 'report', p_now);
    return 'held';
end $$;

-- recover_hold: a trunk whose provider cannot list its calls dials nothing for as long as a call of the lost
-- time could last. Returns until when; null = there is no such trunk. After that its calls are dialled: one
-- that was lost without trace may ring a second time, but never while the first is up.
create or replace function pgdial.recover_hold(p_trunk text) returns timestamptz
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    update pgdial.trunks t
    set held_until = greatest(t.held_until, pgdial.now() + pgdial.longest_call())
    where t.name = p_trunk
    returning t.held_until
$$;

-- recover_end: accept the place, and judge again what webhooks said of lost claims meanwhile. Returns how many
-- events.
create or replace function pgdial.recover_end(p_by text) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_items jsonb;
begin
    select coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'by', p_by, 'why', 'recover') order by w.id), '[]')
    into v_items
    from pgdial.cluster k join pgdial.webhook_events w on w.received_at >= k.lost_since
    where w.verdict = 'mismatch';
    perform pgdial.note_place();
    perform pgdial.replay_many(v_items);
    perform pgdial.note_act('recover_end', 'cluster', null, p_by, null,
                            jsonb_build_object('replayed', jsonb_array_length(v_items)));
    return jsonb_array_length(v_items);
end $$;
