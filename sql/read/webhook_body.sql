-- The body of a kept webhook event, as it came.  $1 its id. Zero rows: no such event.
select w.body from pgdial.webhook_events w where w.id = $1
