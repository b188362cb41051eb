-- Takes at most $2 due calls for worker $1, with their events: one statement, one commit.
with claimed as (
    update bare.calls c
    set state = 'dialing', claim_no = c.claim_no + 1, attempt = c.attempt + 1, claimed_at = n.now, claimed_by = $1,
        lease_until = n.now + interval '60 seconds', deadline_at = n.now + interval '33 minutes',
        trunk = 'default', started_at = n.now
    from (select clock_timestamp() as now) n
    where c.id = any (array(
        select w.id from bare.calls w
        where w.state = 'waiting' and w.campaign = 'default' and w.run_at <= now()
        order by w.priority desc, w.run_at, w.id limit $2
        for update skip locked))
    returning c.id, c.claim_no, c.attempt, c.phone, c.from_number, c.script_id, c.metadata, c.trunk, c.campaign,
              c.lease_until, c.claimed_at, c.run_at
), noted as (
    insert into bare.call_events (at, call_id, claim_no, attempt, kind, detail)
    select d.claimed_at, d.id, d.claim_no, d.attempt, 'active',
           jsonb_build_object('trunk', d.trunk, 'worker', $1, 'run_at', d.run_at)
    from claimed d
)
select d.id, d.claim_no, d.attempt, d.phone, d.from_number, d.script_id, d.metadata, d.trunk, d.campaign, d.lease_until
from claimed d
