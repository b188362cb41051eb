//! Numbers that the provider refuses for good, ahead of all others. They wait, longer each time; nobody else does.

use std::time::Duration;

use super::{Played, comes, ensure, judge};
use crate::{setup::Setup, stage::Stage};

const RULES: [&str; 4] = [
    "*0001=reject:403",
    "*0002=reject:403",
    "*0003=rate_limit:60",
    "*0004=reject:503",
];
const OTHERS: usize = 150;

pub(super) async fn play() -> Played {
    let stage = Stage::full(&Setup::small("refused").rules(&RULES)).await;
    let refused = format!(
        "select pgdial.enqueue('+141555500' || lpad(n::text, 2, '0'), 'chaos', p_priority => 9)
         from generate_series(1, {}) n",
        RULES.len()
    );
    stage.sql(&refused).await;
    let put_back = "select count(*) from pgdial.call_events where kind = 'deferred'";
    comes("all are refused", Duration::from_secs(30), async || {
        let count: usize = stage.text(put_back).await.parse().unwrap();
        count >= RULES.len()
    })
    .await?;
    let others = format!(
        "select pgdial.enqueue('+14155551' || lpad(n::text, 3, '0'), 'chaos') from generate_series(0, {}) n",
        OTHERS - 1
    );
    stage.sql(&others).await;
    let over = comes("the others are over", Duration::from_secs(40), async || {
        let over = "select count(*) from pgdial.calls where priority = 0 and state = 'completed'";
        stage.text(over).await == OTHERS.to_string()
    })
    .await;
    let acts = "select string_agg(concat_ws(' ', act, kind, name, why), '; ') from pgdial.acts where by = 'pgdial'";
    let acts = stage.text(acts).await;
    ensure(acts.is_empty(), || {
        format!("P7: a few numbers are refused, and everybody waits: {acts}")
    })?;
    over.map_err(|late| format!("P7: {late}"))?;
    let waiting =
        "select count(*) from pgdial.calls where priority = 9 and state in ('waiting', 'dialing')";
    let waiting = stage.text(waiting).await;
    ensure(waiting == RULES.len().to_string(), || {
        format!("P2: {waiting} of {} refused calls still wait", RULES.len())
    })?;
    let rings = judge(&stage).await?;
    ensure(rings.count == OTHERS, || {
        format!("P1: {} rings for {OTHERS} calls", rings.count)
    })?;
    Ok(format!(
        "{OTHERS} calls beside {} numbers that are refused",
        RULES.len()
    ))
}
