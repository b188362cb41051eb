//! Calling hours that cannot be judged, or soon will not be.

use serde::Deserialize;
use sqlx::PgConnection;

use super::{Check, Looked, rows};

const UPDATE_ZONES: &str = "update the server's time zones: the system's package tzdata, or Postgres itself where it brings its own, and restart it";

#[derive(Deserialize)]
struct Found {
    what: String,
    message: String,
    repair: Option<String>,
}

/// Looks at what hours rest on: the server's time zones, the calendars and presets in use, and providers that may ring
/// later than they are asked to.
pub(super) async fn look(connection: &mut PgConnection) -> Looked {
    let mut found: Vec<Check> = Vec::new();
    for row in rows::<Found>(&mut *connection, ZONES).await? {
        found.push(Check::warn("hours", row.message, UPDATE_ZONES));
    }
    for row in rows::<Found>(&mut *connection, RULES).await? {
        let check = if row.what == "ended" {
            Check::fail
        } else {
            Check::warn
        };
        found.push(check("hours", row.message, row.repair.unwrap_or_default()));
    }
    if found.is_empty() {
        let (campaigns,): (i64,) = sqlx::query_as(
            "select count(*) from pgdial.campaigns g where g.calling_hours is not null",
        )
        .fetch_one(connection)
        .await?;
        let message = format!("{campaigns} campaigns have calling hours");
        found.push(Check::ok("hours", message));
    }
    Ok(found)
}

/// Facts that came with a release of the time zone database, the newest first; and names that the server does not
/// know.
const ZONES: &str = "\
    select 'old' as what, null::text as repair, \
           format('the server''s time zones are older than %s: its clock of %s is wrong, and so are others perhaps', \
                  p.release, p.zone) as message \
    from (select f.release, f.zone \
          from (values (1, '2025a', 'America/Asuncion', timestamp '2026-07-01 09:00'), \
                       (2, '2024a', 'Asia/Almaty', timestamp '2026-07-01 17:00'), \
                       (3, '2023c', 'Africa/Cairo', timestamp '2026-07-01 15:00'), \
                       (4, '2022f', 'America/Mexico_City', timestamp '2026-07-01 06:00')) f (n, release, zone, local) \
          where exists (select from pgdial.campaigns g where g.calling_hours is not null) \
            and pgdial.local_time(f.zone, '2026-07-01 12:00Z') is distinct from f.local \
          order by f.n desc limit 1) p \
    union all \
    select 'unknown', null, \
           format('the server does not know the time zone %s: callees there are never rung (%s)', z.zone, z.named_by) \
    from (select n.zone, string_agg(distinct n.named_by, ', ') as named_by \
          from (select h.timezone, 'calling hours ' || h.name from pgdial.calling_hours h where h.timezone is not null \
                union all select r.timezone, format('calling hours %s for %s', r.hours, r.region) \
                          from pgdial.calling_hours_regions r where r.timezone is not null \
                union all select z, 'areas of numbers' from pgdial.areas a cross join unnest(a.zones) z \
                union all select z, 'given with calls' from pgdial.areas a cross join unnest(a.given_zones) z) n (zone, named_by) \
          group by n.zone) z \
    where pgdial.local_time(z.zone, '2026-07-01 12:00Z') is null";

/// What the hours of campaigns name.
const RULES: &str = "\
    select case when not k.covers @> n.today then 'ended' else 'ends' end as what, \
           format('calendar %s covers %s to %s: beyond that, calling hours %s%s are closed', k.name, lower(k.covers), \
                  upper(k.covers) - 1, u.hours, coalesce(' (' || u.regions || ')', '')) as message, \
           format('`pgdial calendars set %s FILE` with the days to come, or newer calling hours, whose calendar has them', k.name) as repair \
    from pgdial.calendars k \
         cross join (select (pgdial.now() at time zone 'UTC')::date as today) n \
         join (select c.calendar, c.hours, string_agg(c.region, ', ' order by c.region) as regions \
               from (select h.calendar, h.name as hours, null as region from pgdial.calling_hours h \
                     union all select r.calendar, r.hours, r.region from pgdial.calling_hours_regions r) c \
               where exists (select from pgdial.campaigns g where g.calling_hours = c.hours) \
               group by c.calendar, c.hours) u on u.calendar = k.name \
    where upper(k.covers) <= n.today + 60 or lower(k.covers) > n.today \
    union all \
    select 'older', format('campaign %s has calling hours %s, and there are newer ones: %s', g.name, g.calling_hours, l.newest), \
           format('read what has changed (`pgdial hours show %s`), then `pgdial campaigns set %s --calling-hours %s`', \
                  l.newest, g.name, l.newest) \
    from pgdial.campaigns g \
         cross join lateral (select pgdial.hours_named(split_part(g.calling_hours, '@', 1)) as newest) l \
    where g.calling_hours ~ '@[0-9-]+$' and l.newest > g.calling_hours collate \"C\" \
    union all \
    select 'unpaced', format('trunk %s has no pace, and its platform has one, of %s per second unless the account has more: it may keep \
calls waiting, and ring them when the calling hours of campaign %s are over', t.name, a.declares ->> 'callsPerSecond', \
                  (select min(g.name) from pgdial.campaigns g where g.trunk = t.name and g.calling_hours is not null)), \
           format('`pgdial trunks set %s --calls-per-second %s`, or as many as the account has', t.name, a.declares ->> 'callsPerSecond') \
    from pgdial.trunks t join pgdial.trunk_adapter a on a.trunk = t.name \
    where t.calls_per_second is null and a.declares ->> 'callsPerSecond' is not null \
      and exists (select from pgdial.campaigns g where g.trunk = t.name and g.calling_hours is not null) \
    order by 1, 2";
