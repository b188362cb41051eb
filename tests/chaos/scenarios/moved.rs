//! A trunk whose account changes while calls are under way: the new account is asked nothing about them, whatever it
//! would say, and their own provider's reports still count.

use std::time::Duration;

use super::{Played, comes, ensure, judge};
use crate::{
    setup::{Setup, TrunkSetup, words},
    stage::Stage,
};

/// The provider accepts these without saying so, and reports only when all is over.
const IN_DOUBT: &str = "*1?=error_after_accept,false_404,late:12s";
const IN_DOUBT_NOW: &str = "select count(*) from pgdial.calls where state = 'unresolved'";
const LIVE: &str = "+14155550020";

pub(super) async fn play() -> Played {
    let setup = Setup {
        trunks: vec![TrunkSetup::new("default", "authoritative")],
        provider: words(&["--ring", "200ms", "--talk", "9s"]),
        ..Setup::small("moved")
    };
    let mut stage = Stage::full(&setup.rules(&[IN_DOUBT])).await;
    let mut old = Vec::new();
    for at in 0..6 {
        old.push(stage.enqueue(&format!("+141555500{}", 10 + at)).await);
    }
    old.push(stage.enqueue(LIVE).await);
    comes("they are under way", Duration::from_secs(20), async || {
        let others = "select count(*) from pgdial.calls where state in ('waiting', 'dialing')";
        stage.text(others).await == "0"
    })
    .await?;
    let quick = ["--ring", "50ms", "--talk", "50ms", "--rule", IN_DOUBT];
    stage.move_account(&words(&quick)).await;
    let new = stage.trunks.last().ok_or("no account")?.proxy.clone();
    new.listen_in();
    let in_doubt = stage.text(IN_DOUBT_NOW).await;
    ensure(in_doubt != "0", || {
        "the story took too long: nothing is in doubt any more".to_owned()
    })?;
    // Cancel requests: only the calls' own account may receive them.
    let wanted = "select pgdial.cancel(id, 'chaos') from pgdial.calls where state = 'in_call'";
    stage.sql(wanted).await;
    // A doubt of the new account is younger than theirs: by the time it was asked about, theirs were due.
    let younger = stage.enqueue("+14155550019").await;
    comes(
        "the new account is asked",
        Duration::from_secs(40),
        async || {
            let heard = new.heard();
            heard.iter().any(|piece| is_about(piece, &younger, "GET"))
        },
    )
    .await?;
    stage.until_all_over(Duration::from_mins(1)).await?;
    let asked = new.heard();
    let about_old = old
        .iter()
        .find(|id| asked.iter().any(|piece| is_about(piece, id, "")));
    ensure(about_old.is_none(), || {
        format!("P1: the new account was asked about a dial of the old one ({about_old:?})")
    })?;
    let rings = judge(&stage).await?;
    let calls = old.len() + 1;
    ensure(rings.count == calls, || {
        format!("P1: {} rings for {calls} calls", rings.count)
    })?;
    for id in old.iter().chain([&younger]) {
        let ended = stage.state(id).await;
        ensure(ended == "completed", || {
            format!("P2: a call ended as {ended}")
        })?;
    }
    Ok(format!(
        "{} calls of the old account ended by its reports alone",
        old.len()
    ))
}

fn is_about(piece: &[u8], id: &str, method: &str) -> bool {
    let text = String::from_utf8_lossy(piece);
    text.starts_with(method) && text.contains(id)
}
