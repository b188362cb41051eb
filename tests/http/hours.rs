//! Calling hours and calendars over HTTP.

use pgdial::{
    flow::view::{Calendar, CallingHours, Campaign},
    http::schema::rules::{CalendarList, CallingHoursList},
};
use serde_json::json;

use crate::{
    acting::typed,
    support::{Send, World},
};

#[tokio::test]
async fn a_calendar_and_hours_are_put_shown_and_deleted() {
    let world = World::new().await;
    let days =
        json!({ "days": [{ "day": "2026-12-25", "name": "Christmas Day" }], "why": "the gazette" });
    let made = world.send("PUT", "/api/v1/calendars/state", &days).await;
    assert_eq!(
        (made.status.as_u16(), made.header("location")),
        (201, "/api/v1/calendars/state")
    );
    let calendar: Calendar = typed(&made);
    assert_eq!(
        (
            calendar.first_day.to_string(),
            calendar.days[0].hours.as_str()
        ),
        ("2026-01-01".to_owned(), "closed")
    );

    let hours = json!({ "week": "mon-fri 09:00-17:00", "calendar": "state", "regions": { "US-FL": { "week": "mon-sun 08:00-20:00" } } });
    let made = world
        .send("PUT", "/api/v1/calling-hours/sales@2026-11", &hours)
        .await;
    assert_eq!(
        (made.status.as_u16(), made.header("location")),
        (201, "/api/v1/calling-hours/sales@2026-11")
    );
    let again = world
        .send("PUT", "/api/v1/calling-hours/sales@2026-11", &hours)
        .await;
    assert_eq!(again.status, 200, "{}", again.text);
    // The newest of the name.
    let shown: CallingHours = typed(&world.get("/api/v1/calling-hours/sales").await);
    assert_eq!(
        (shown.name.as_str(), shown.regions["US-FL"].week.as_str()),
        ("sales@2026-11", "mon-sun 08:00-20:00")
    );
    let all: CallingHoursList = typed(&world.get("/api/v1/calling-hours").await);
    assert!(
        all.calling_hours
            .iter()
            .any(|hours| hours.name == "sales@2026-11")
    );
    let all: CalendarList = typed(&world.get("/api/v1/calendars").await);
    assert!(
        all.calendars
            .iter()
            .any(|calendar| calendar.name == "state")
    );

    let change = json!({ "callingHours": "sales", "zoneBasis": "given" });
    let campaign: Campaign = typed(
        &world
            .send("PATCH", "/api/v1/campaigns/default", &change)
            .await,
    );
    assert_eq!(
        (
            campaign.calling_hours.as_deref(),
            campaign.zone_basis.as_deref()
        ),
        (Some("sales@2026-11"), Some("given"))
    );
    for path in [
        "/api/v1/calling-hours/sales@2026-11",
        "/api/v1/calendars/state",
    ] {
        let kept = world.ask("DELETE", path).answer().await;
        assert_eq!(
            (kept.status.as_u16(), kept.body["code"].as_str()),
            (409, Some("in_use")),
            "{}",
            kept.text
        );
    }
    let change = json!({ "callingHours": null, "zoneBasis": null });
    let campaign: Campaign = typed(
        &world
            .send("PATCH", "/api/v1/campaigns/default", &change)
            .await,
    );
    assert_eq!((campaign.calling_hours, campaign.zone_basis), (None, None));
    for path in [
        "/api/v1/calling-hours/sales@2026-11",
        "/api/v1/calendars/state",
    ] {
        let gone = world
            .ask("DELETE", &format!("{path}?why=over"))
            .answer()
            .await;
        assert_eq!((gone.status.as_u16(), gone.text.as_str()), (204, ""));
        for method in ["GET", "DELETE"] {
            let none = world.ask(method, path).answer().await;
            assert_eq!(none.status, 404, "{}", none.text);
        }
    }
    let acts = world.get("/api/v1/acts?kind=calendar&name=state").await;
    assert_eq!(acts.body["acts"][0]["why"], "over");
}

#[tokio::test]
async fn every_fault_of_a_body_is_told_with_its_field() {
    let world = World::new().await;
    let hours = json!({ "week": "9 to 5", "calendar": "moon", "regions": { "US-FL": { "week": "always" } }, "extra": 1 });
    let refused = world
        .send("PUT", "/api/v1/calling-hours/sales", &hours)
        .await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let errors = refused.body["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["#/calendar", "#/extra", "#/week", "#/regions"]);
    let refused = world
        .send("PUT", "/api/v1/calendars/state", &json!({ "days": 3 }))
        .await;
    assert_eq!(
        (
            refused.status.as_u16(),
            refused.body["errors"][0]["pointer"].as_str()
        ),
        (422, Some("#/days"))
    );
    let refused = world
        .send("PUT", "/api/v1/calendars/STATE", &json!({ "days": [] }))
        .await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let refused = world
        .send(
            "PATCH",
            "/api/v1/campaigns/default",
            &json!({ "callingHours": "moon" }),
        )
        .await;
    assert_eq!(
        refused.body["errors"][0]["pointer"], "#/callingHours",
        "{}",
        refused.text
    );
}
