use reqwest::StatusCode;

use super::{REFUSED, Ran, USAGE, pgdial, row};
use crate::support::{eventually, processes::Machine};

const WRONG_SETTING: i32 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_created_shown_once_listed_rotated_and_revoked() {
    let machine = Machine::new().await;
    let create = [
        "keys",
        "create",
        "crm",
        "--scope",
        "enqueue",
        "--campaign",
        "default",
        "--expires",
        "90d",
        "--why",
        "for the shop",
    ];
    let created = pgdial(&machine, &create);
    assert!(
        created.words.contains("it is not shown again"),
        "{created:?}"
    );
    let key = created.done();
    let key = key.trim_end();
    assert!(key.starts_with("pgdial_") && key.len() == 55, "{key:?}");
    pgdial(&machine, &create).refused(REFUSED, "`pgdial keys rotate crm` makes another one");
    let wrong = [
        "keys",
        "create",
        "desk",
        "--scope",
        "admin",
        "--campaign",
        "sprang",
    ];
    pgdial(&machine, &wrong).refused(USAGE, "names some that there are not: sprang\n");

    let list = pgdial(&machine, &["keys", "list"]).done();
    assert!(!list.contains(key), "{list}");
    let line = row(list.lines().nth(1).unwrap());
    assert_eq!(
        line[..7],
        [
            "crm",
            &key[..13],
            "enqueue",
            "default",
            "masked",
            "valid",
            "never"
        ]
    );
    let rotated = pgdial(
        &machine,
        &["keys", "rotate", "crm", "--keep", "2d", "--json"],
    )
    .json();
    assert_eq!(rotated["name"], "crm");
    assert_ne!(rotated["key"], key);
    let both = pgdial(&machine, &["keys", "list", "--json"]).json();
    assert_eq!(both.as_array().unwrap().len(), 2, "{both}");

    let revoke = ["keys", "revoke", "crm", "--why", "it leaked"];
    assert_eq!(pgdial(&machine, &revoke).done(), "revoked: crm\n");
    pgdial(&machine, &revoke).refused(REFUSED, "no key named \"crm\" is in use");
    assert_eq!(
        pgdial(&machine, &["keys", "list"]).done().lines().count(),
        1
    );
    let all = pgdial(&machine, &["keys", "list", "--all"]).done();
    assert_eq!(all.matches("revoked").count(), 2, "{all}");
    let acts = pgdial(&machine, &["acts", "list", "--kind", "key"]).done();
    assert!(
        acts.contains("it leaked") && acts.contains("for the shop"),
        "{acts}"
    );
}

/// Without a key anybody could order calls; a key of the database is as good as one of the settings.
#[tokio::test(flavor = "multi_thread")]
async fn listening_to_strangers_needs_a_key() {
    let machine = Machine::new().await;
    let listen = format!("0.0.0.0:{}", machine.api.port());
    let args = ["api", "--listen", listen.as_str()];
    let refused = Ran::of(machine.command(&args), "");
    assert_eq!(refused.code, WRONG_SETTING, "{refused:?}");
    assert!(
        refused.words.contains("listening on 0.0.0.0:"),
        "{refused:?}"
    );
    assert!(
        refused
            .words
            .contains("`pgdial keys create NAME --scope SCOPE` makes one"),
        "{refused:?}"
    );

    let key = pgdial(&machine, &["keys", "create", "crm", "--scope", "read"]).done();
    let _api = machine.start("api", &args);
    let stats = format!("http://{}/api/v1/stats", machine.api);
    let ask = |key: &str| {
        let ask = reqwest::Client::new()
            .get(&stats)
            .bearer_auth(key.trim_end());
        async move { ask.send().await.map(|answer| answer.status()) }
    };
    eventually("the API answers", || async {
        ask(&key).await.is_ok_and(|status| status == 200)
    })
    .await;
    assert_eq!(ask("pgdial_wrong").await.unwrap(), StatusCode::UNAUTHORIZED);
    pgdial(&machine, &["keys", "revoke", "crm"]).done();
    eventually("the key is refused", || async {
        ask(&key).await.unwrap() == 401
    })
    .await;
    let nobody = reqwest::get(&stats).await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
}
