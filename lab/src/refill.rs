//! Refill: every slot of the trunk is in use and a backlog waits. A signed webhook over HTTP ends one call; how long
//! until the provider is asked for the next one?

use std::{collections::VecDeque, time::Duration};

use pgdial::provider::Stopwatch;

use super::{
    Bed, Error, Measure, Options,
    client::Client,
    dials::{Answer, Served, Witness, ms, percentiles},
    webhooks::{Webhook, completed},
};

const ENDS: usize = 300;
const WARM_UP: usize = 10;
const EVERY: Duration = Duration::from_millis(20);
const SLOTS: usize = 30;

pub(super) async fn refill(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let ends = WARM_UP + options.scaled(ENDS);
    bed.set_slots(SLOTS).await?;
    // One more than can be dialled, so that there is a backlog to the end.
    let calls = SLOTS + ends + 1;
    bed.seed_waiting(calls).await?;
    let (witness, mut dials) = Witness::new(Answer::Accept);
    let served = Served::start(bed, witness, SLOTS).await?;
    let mut client = Client::connect(served.api, "lab").await?;

    let mut live = VecDeque::new();
    for _slot in 0..SLOTS {
        live.push_back(dials.next().await?);
    }
    let (mut from_answer, mut from_request) = (Vec::new(), Vec::new());
    for nth in 0..ends {
        tokio::time::sleep(EVERY).await;
        let Some(oldest) = live.pop_front() else {
            break;
        };
        until_in_call(bed, SLOTS).await?;
        let now = bed.number("extract(epoch from pgdial.now())").await?;
        let id = oldest.reference.to_string();
        let webhook = Webhook::sign(
            &served.secrets,
            &oldest.webhook_url,
            id,
            now,
            completed(&oldest),
        )?;
        let sent = dials.now();
        webhook.post(&mut client).await?;
        let answered = dials.now();
        let next = dials.next().await?;
        if nth >= WARM_UP {
            from_answer.push(ms(answered, next.at));
            from_request.push(ms(sent, next.at));
        }
        live.push_back(next);
    }
    until_in_call(bed, SLOTS).await?;
    dials.none_more()?;
    check(bed, ends).await?;
    drop(client);
    served.stop().await?;
    let mut measures = percentiles("refill", &from_answer);
    measures.extend(percentiles("refill, from the webhook", &from_request));
    Ok(measures)
}

/// Waits until this many calls are in call, with their dials recorded.
pub(super) async fn until_in_call(bed: &Bed, calls: usize) -> Result<(), Error> {
    let clock = Stopwatch::start();
    let expected = i64::try_from(calls).unwrap_or(i64::MAX);
    let sql = "select count(*) from pgdial.calls where state = 'in_call'";
    loop {
        let up = bed.number(sql).await?;
        if up == expected {
            return Ok(());
        }
        if up > expected {
            return Err(Error::Wrong(format!("{up} calls in {calls} slots")));
        }
        if clock.elapsed() > Duration::from_mins(1) {
            return Err(Error::Slow("the answer of a dial"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Checks that each webhook ended one call, and one call still waits.
async fn check(bed: &Bed, ends: usize) -> Result<(), Error> {
    let completed = bed
        .number(
            "select count(*) from pgdial.calls where state = 'completed' and claim_no = 1 and outcome = 'answered'",
        )
        .await?;
    let waiting = bed
        .number("select count(*) from pgdial.calls where state = 'waiting'")
        .await?;
    if (completed, waiting) == (i64::try_from(ends).unwrap_or(i64::MAX), 1) {
        Ok(())
    } else {
        Err(Error::Wrong(format!(
            "after {ends} webhooks {completed} calls are completed and {waiting} wait"
        )))
    }
}
