-- The original body of a kept webhook event, and its trunk.  $1 its id. Zero rows: no such event.
select w.trunk, w.body from pgdial.webhook_events w where w.id = $1
