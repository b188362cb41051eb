-- What worker $1 has claimed, waiting again as it was before; its events of that are gone.
with back as (
    update pgdial.calls c
    set state = 'waiting', attempt = 0, claimed_at = null, claimed_by = null, lease_until = null,
        claim_seq = default, deadline_at = null, trunk = null, started_at = null
    where c.claimed_by = $1 and c.state = 'dialing'
    returning c.id, c.claim_no
)
delete from pgdial.call_events e using back b where e.call_id = b.id and e.claim_no = b.claim_no
