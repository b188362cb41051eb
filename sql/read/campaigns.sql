-- Campaigns with their policies, as JSON.  $1 name, or null for all.
select jsonb_build_object(
    'name', g.name, 'trunk', g.trunk, 'cap', g.cap, 'weight', g.weight, 'paused', g.paused,
    'pausedAt', g.paused_at, 'pausedBy', g.paused_by, 'pausedWhy', g.paused_why, 'archivedAt', g.archived_at, 'maxAttempts', g.max_attempts,
    'ringTimeout', pgdial.iso_8601(g.ring_timeout), 'maxDuration', pgdial.iso_8601(g.max_duration), 'busyBase', pgdial.iso_8601(g.busy_base),
    'noAnswerBase', pgdial.iso_8601(g.no_answer_base), 'faultBase', pgdial.iso_8601(g.fault_base), 'backoffCap', pgdial.iso_8601(g.backoff_cap),
    'redialUnknown', g.redial_unknown, 'guard', g.guard, 'region', g.region, 'callerIds', g.caller_ids,
    'answeringMachine', g.answering_machine, 'voicemail', g.voicemail, 'voicemailBase', pgdial.iso_8601(g.voicemail_base),
    'conflicts', pgdial.campaign_conflicts(g),
    'startsAt', g.starts_at, 'endsAt', g.ends_at, 'retryAt', g.retry_at,
    'goal', case when g.goal_count is not null then jsonb_strip_nulls(jsonb_build_object(
        'outcome', g.goal_outcome, 'disposition', g.goal_disposition, 'count', g.goal_count)) end,
    'budget', g.budget,
    'answerGuard', case when g.answer_guard_last is not null
                        then jsonb_build_object('last', g.answer_guard_last, 'answeredBelow', g.answer_guard_below) end,
    'ramp', case when g.ramp_from is not null
                 then jsonb_build_object('from', g.ramp_from, 'step', g.ramp_step, 'every', pgdial.iso_8601(g.ramp_every)) end,
    'callingHours', g.calling_hours, 'zoneBasis', g.zone_basis, 'contactLimits', coalesce(to_jsonb(g.contact_limits), '[]'), 'topic', g.topic,
    'dispositionRules', g.disposition_rules, 'optOutScope', g.opt_out_scope, 'requireConsent', g.require_consent,
    'inFlight', l.in_flight, 'room', l.room, 'reasons', coalesce(w.reasons, '[]')) as campaign
from pgdial.campaigns g
     left join pgdial.lanes(null, (select pgdial.now())) l on l.campaign = g.name
     left join (select w.name, jsonb_agg(jsonb_build_object(
                           'reason', w.reason, 'message', w.message, 'object', w.object, 'until', w.until) order by w.ord) as reasons
                from pgdial.why_groups('campaign', $1) w group by w.name) w on w.name = g.name
where $1::text is null or g.name = $1
order by g.name
