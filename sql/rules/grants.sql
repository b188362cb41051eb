-- grant_roles: what the three roles of sql/setup/roles.sql may do. `pgdial migrate` calls it each time, so that
-- it also covers what a release adds or removes. Only if pgdial_owner owns the schema: roles belong to the
-- whole server, and a database with a single login has not asked for them.
--   pgdial_owner: owns the schema and changes it; this needs no grant.
--   pgdial_worker: what the program calls, as processes and as commands. It reads every row and writes none: the
--     verbs are security definer, so that their guards, and the event each writes, cannot be bypassed.
--   pgdial_reader: reads every row and writes nothing, not even through a verb. It sees numbers and what was said
--     on the phone: questions to a person on call begin with a number, and reports are in the history.
-- No other role has any rights: `pgdial migrate` revokes what PUBLIC has (src/db/roles.rs).
--
-- Why not the caller's rights and grants on columns: the worker would have to insert, update and delete calls,
-- and a stolen worker password could then put a call in flight without a claim, or remove one that rings. The
-- cost of running verbs with the owner's rights is small.
-- Races: with housekeeping, which attaches and drops partitions: it is kept out meanwhile.
create or replace function pgdial.grant_roles() returns void
language plpgsql volatile
as $$
declare
    -- They run with the caller's rights and read what the caller may read. Exceptions: export_ids, list_calls, find_calls,
    -- mentions and hours_for, which need functions that the caller may not call, and place, which sees what the owner sees.
    v_reads constant text[] := array['now', 'in_flight', 'in_flight_from', 'lanes', 'lanes_of', 'end_in_words',
        'present_cap', 'ramp_steps', 'ramps_since', 'next_step',
        -- And preview_campaign.
        'preview_campaign', 'capped_calls', 'hours_over_lease', 'estimate_of', 'pace', 'caller_ids_left', 'usable_caller_ids', 'dials_from', 'breaker', 'cluster_changed', 'place', 'why',
        -- Called by why.
        'why_waiting', 'why_itself', 'why_limits', 'dials_in_words', 'period_in_words', 'held', 'counts', 'longest_reach', 'counts_until', 'can_hang_up', 'may_be_in', 'is_put_aside', 'number_taken', 'twin_before', 'why_lane', 'spent_caller_ids', 'oldest_live', 'why_nobody', 'place_in_line',
        'due_before', 'rivals', 'turns_before', 'has_twin_elsewhere', 'shared_numbers', 'heads', 'row_holder', 'gate_holder', 'session_name',
        'suspects', 'suspect_words', 'tried', 'run_of_campaign', 'is_trusted', 'why_in_flight', 'look_up_due', 'look_up_after', 'lease', 'own_deadline',
        'is_its_account', 'account_is_gone', 'trunk_terms', 'dial_terms', 'trunk_conflicts', 'campaign_conflicts', 'repeat_problem', 'doubts', 'why_doubts', 'why_breaker', 'why_groups', 'why_closed', 'why_later', 'turned_down', 'why_over', 'in_utc', 'iso_8601', 'masked',
        'covers', 'listed', 'present_number', 'next_number', 'consent_problem', 'consent_words',
        'evidence', 'evidence_of', 'special_days_of',
        'export_ids', 'list_calls', 'find_calls', 'calls_beginning', 'version_of', 'mentions',
        'hours_for',
        'is_valid_key',
        'why_hours', 'longest_lease', 'with_place', 'zones_of_region', 'phone_area', 'is_open', 'next_open', 'open_areas', 'hours_state', 'read_hours', 'hours_text', 'hours_named', 'users_of_calendar',
        -- Called by them.
        'region_rules', 'place_rules', 'place_state', 'closed_rules', 'one_or_none', 'callee_zones', 'callee_regions', 'basis_of', 'opening', 'rule_opens', 'is_open_at', 'hours_of_day', 'hours_on',
        'shifted', 'plain_hours', 'read_slots', 'slots_text', 'minute_of', 'local_times', 'local_time',
        -- And normal_phone.
        'normal_phone', 'is_normal_phone', 'read_phone', 'spelled_phone', 'phone_in_ascii', 'located_phone', 'with_code_alone',
        'main_plan', 'without_trunk_prefix', 'phone_length', 'phone_plans', 'phone_heads',
        -- Called by events_after.
        'events_after', 'events_horizon', 'events_withheld_ms', 'newest_event', 'event_place', 'event_filter', 'trunk_of_claim', 'dialled',
        'write_event_cursor', 'read_event_cursor', 'events_at', 'event_named', 'from_hex',
        -- Of deliveries.
        'delivery_id', 'delivered_event', 'event_kinds', 'why_reasons', 'undelivered_since',
        -- Of failures.
        'error_words'];
    -- With the owner's rights, except wake, which touches no row.
    v_verbs constant text[] := array[
        'enqueue', 'enqueue_many', 'note_import', 'claim', 'claim_with', 'give_back', 'dialed', 'settle', 'doubt', 'defer',
        'webhook', 'replay', 'replay_many', 'look_ups_due', 'look_up', 'repeats_due',
        'cancel', 'cancel_many', 'redrive', 'redrive_many', 'resolve', 'resolve_many', 'amend_many', 'release',
        'cancel_matching', 'redrive_matching', 'resolve_matching', 'forget',
        'sweep', 'housekeeping', 'heartbeat', 'drain', 'wake', 'recover_begin', 'recover_listed', 'recover_hold', 'recover_end', 'hold_off',
        'pause', 'resume', 'archive', 'unarchive', 'delete_group', 'set_if_unchanged', 'create_campaign', 'set_campaign', 'create_trunk', 'set_trunk', 'add_caller_id', 'set_caller_id', 'remove_caller_id',
        'set_calling_hours', 'delete_calling_hours', 'set_calendar', 'delete_calendar',
        'set_contact_limit', 'delete_contact_limit', 'recheck_matching',
        'create_endpoint', 'set_endpoint', 'delete_endpoint', 'rotate_endpoint', 'test_endpoint', 'resend', 'resend_span',
        'deliver', 'deliver_no_more', 'delivered',
        'do_not_call_add', 'do_not_call_add_many', 'do_not_call_remove',
        'create_key', 'rotate_key', 'revoke_key', 'used_keys', 'note_unmasking', 'open_session', 'end_session'];
    v_role text;
    v_function regprocedure;
begin
    perform pg_advisory_xact_lock(x'70676469'::int, 2);
    for v_role in
        select r.rolname from pg_roles r
        where r.rolname in ('pgdial_worker', 'pgdial_reader') and exists (
            select from pg_namespace n join pg_roles o on o.oid = n.nspowner
            where n.nspname = 'pgdial' and o.rolname = 'pgdial_owner')
    loop
        execute format('revoke all on all tables in schema pgdial from %I', v_role);
        execute format('revoke all on all sequences in schema pgdial from %I', v_role);
        execute format('revoke all on all functions in schema pgdial from %I', v_role);
        execute format('grant usage on schema pgdial to %I', v_role);
        execute format('grant select on all tables in schema pgdial to %I', v_role);
        -- Nobody signs but the verb that hands out deliveries.
        execute format('revoke all on pgdial.endpoint_secrets from %I', v_role);
        for v_function in
            select p.oid from unnest(v_reads || case v_role when 'pgdial_worker' then v_verbs else '{}' end) f (name)
                 left join pg_proc p on p.proname = f.name and p.pronamespace = 'pgdial'::regnamespace
        loop
            execute format('grant execute on function %s to %I', v_function, v_role);
        end loop;
    end loop;
end $$;
