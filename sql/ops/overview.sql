-- overview: how far is each campaign, and may it dial now?
-- One row for each campaign: what it has in flight and room for, the reason if it has
-- none, and its calls by state.
-- Cost: counts every call that is kept: about a second for a million.
begin read only;
set local statement_timeout = '30s';

select p.campaign, p.trunk,
       p.in_flight, p.room, coalesce(p.reason, 'open') as dialing,
       p.waiting, p.completed, p.failed, p.canceled_expired_suppressed as ended_otherwise, p.total,
       round(100.0 * p.completed / nullif(p.completed + p.failed, 0), 1) as completed_percent
from pgdial.campaign_progress p
order by p.waiting desc, p.campaign;

commit;
