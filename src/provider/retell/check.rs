//! What Retell tells about a workspace.

use super::Retell;
use crate::provider::{
    check::{Finding, Inquiry, is_number, no_from, no_scripts, own_webhooks},
    platform::{number, text},
    words::percent,
};

pub(super) async fn check(retell: &Retell) -> Vec<Finding> {
    let mut asked = Inquiry::of(&retell.client);
    let limit = "/concurrency_limit";
    let is_answer = |body: &_| number(body, limit).is_some();
    let Some(room) = asked.key("/get-concurrency", is_answer).await else {
        return asked.found;
    };
    if let (Some(up), Some(limit)) = (number(&room, "/current_concurrency"), number(&room, limit)) {
        let told = format!("{up} of {limit} calls at a time are up");
        asked.add(Finding::ok("concurrency", told));
    }
    match &retell.from {
        None => asked.add(no_from()),
        Some(from) => {
            let path = format!("/get-phone-number/{}", percent(from.as_e164()));
            let is_it = |body: &_| is_number(body, "/phone_number", from);
            let repair = "buy or import it at Retell, or set FROM to a number of the workspace";
            let name = format!("number {}", from.as_e164());
            asked.there_is("number", &name, &path, is_it, repair).await;
        }
    }
    let mut aliases = retell.scripts.aliases().peekable();
    if aliases.peek().is_none() {
        asked.add(no_scripts());
    }
    for (alias, id) in aliases {
        let (agent, version) = retell.scripts.with_version(alias);
        let mut path = format!("/get-agent/{}", percent(agent));
        if let Some(version) = version {
            path = format!("{path}?version={}", percent(version));
        }
        let is_it = |body: &_| text(body, "/agent_id").as_deref() == Some(agent);
        let repair = "set SCRIPTS to the ids of agents in the workspace";
        let name = format!("agent {id} ({alias})");
        asked.there_is("script", &name, &path, is_it, repair).await;
    }
    asked.add(own_webhooks());
    asked.add(Finding::unknown(
        "signature",
        "whether the key signs webhooks (the badge in Retell's list of keys) cannot be asked",
    ));
    asked.found
}
