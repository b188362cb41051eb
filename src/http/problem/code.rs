//! Stable error codes, each with its status and its title.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// Stable code of an error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each word has its status and title in `row`")]
pub enum Code {
    MalformedJson,
    BodyUnreadable,
    Unauthorized,
    WebhookRejected,
    Forbidden,
    NoSuchRoute,
    NotFound,
    NoSuchCampaign,
    NoSuchTrunk,
    NoSuchCallerId,
    NoSuchWorker,
    NoSuchContactLimit,
    NoSuchEndpoint,
    NoSuchDelivery,
    NoSuchCallingHours,
    NoSuchCalendar,
    NoSuchKey,
    MethodNotAllowed,
    BodyTooSlow,
    IdempotencyKeyLocked,
    Locked,
    NotWaiting,
    AlreadyOver,
    NotOver,
    NeedsForce,
    NotInDoubt,
    Held,
    InFlight,
    KeyNeeded,
    NameTaken,
    InUse,
    CursorGone,
    ChangedMeanwhile,
    BodyTooLarge,
    BatchTooLarge,
    UnsupportedMediaType,
    InvalidRequest,
    InvalidQuery,
    InvalidId,
    IdempotencyKeyReused,
    Suppressed,
    ConsentMissing,
    UnknownCampaign,
    CampaignOver,
    UnknownTrunk,
    Refused,
    Internal,
    NoRoom,
    TooManyAttempts,
    Unavailable,
    TooManyStreams,
    TimedOut,
}

impl Code {
    /// Every code, sorted by status.
    pub const ALL: [Self; 52] = [
        Self::MalformedJson,
        Self::BodyUnreadable,
        Self::Unauthorized,
        Self::WebhookRejected,
        Self::Forbidden,
        Self::NoSuchRoute,
        Self::NotFound,
        Self::NoSuchCampaign,
        Self::NoSuchTrunk,
        Self::NoSuchCallerId,
        Self::NoSuchWorker,
        Self::NoSuchContactLimit,
        Self::NoSuchEndpoint,
        Self::NoSuchDelivery,
        Self::NoSuchCallingHours,
        Self::NoSuchCalendar,
        Self::NoSuchKey,
        Self::MethodNotAllowed,
        Self::BodyTooSlow,
        Self::IdempotencyKeyLocked,
        Self::Locked,
        Self::NotWaiting,
        Self::AlreadyOver,
        Self::NotOver,
        Self::NeedsForce,
        Self::NotInDoubt,
        Self::Held,
        Self::InFlight,
        Self::KeyNeeded,
        Self::NameTaken,
        Self::InUse,
        Self::CursorGone,
        Self::ChangedMeanwhile,
        Self::BodyTooLarge,
        Self::BatchTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidRequest,
        Self::InvalidQuery,
        Self::InvalidId,
        Self::IdempotencyKeyReused,
        Self::Suppressed,
        Self::ConsentMissing,
        Self::UnknownCampaign,
        Self::CampaignOver,
        Self::UnknownTrunk,
        Self::Refused,
        Self::Internal,
        Self::NoRoom,
        Self::TooManyAttempts,
        Self::Unavailable,
        Self::TooManyStreams,
        Self::TimedOut,
    ];

    #[expect(clippy::too_many_lines, reason = "a table: one row for each code")]
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedJson => ("malformed_json", S::BAD_REQUEST, "The body is not JSON"),
            Self::BodyUnreadable => ("body_unreadable", S::BAD_REQUEST, "The body did not arrive"),
            Self::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "An API key is needed"),
            Self::WebhookRejected => (
                "webhook_rejected",
                S::UNAUTHORIZED,
                "The webhook is not believed",
            ),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "The key may not do this"),
            Self::NoSuchRoute => ("no_such_route", S::NOT_FOUND, "There is nothing here"),
            Self::NotFound => ("not_found", S::NOT_FOUND, "There is no such call"),
            Self::NoSuchCampaign => (
                "no_such_campaign",
                S::NOT_FOUND,
                "No campaign has this name",
            ),
            Self::NoSuchTrunk => ("no_such_trunk", S::NOT_FOUND, "No trunk has this name"),
            Self::NoSuchCallerId => (
                "no_such_caller_id",
                S::NOT_FOUND,
                "The number is in no pool",
            ),
            Self::NoSuchWorker => ("no_such_worker", S::NOT_FOUND, "There is no such worker"),
            Self::NoSuchContactLimit => (
                "no_such_contact_limit",
                S::NOT_FOUND,
                "No contact limit has this name",
            ),
            Self::NoSuchEndpoint => (
                "no_such_endpoint",
                S::NOT_FOUND,
                "No endpoint has this name",
            ),
            Self::NoSuchDelivery => (
                "no_such_delivery",
                S::NOT_FOUND,
                "There is no such event to deliver",
            ),
            Self::NoSuchCallingHours => (
                "no_such_calling_hours",
                S::NOT_FOUND,
                "No calling hours have this name",
            ),
            Self::NoSuchCalendar => (
                "no_such_calendar",
                S::NOT_FOUND,
                "No calendar has this name",
            ),
            Self::NoSuchKey => ("no_such_key", S::NOT_FOUND, "No key of this name is in use"),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                S::METHOD_NOT_ALLOWED,
                "Not with this method",
            ),
            Self::BodyTooSlow => (
                "body_too_slow",
                S::REQUEST_TIMEOUT,
                "The body took too long to arrive",
            ),
            Self::IdempotencyKeyLocked => (
                "idempotency_key_locked",
                S::CONFLICT,
                "The idempotency key is in use now",
            ),
            Self::Locked => ("locked", S::CONFLICT, "Somebody holds the call"),
            Self::NotWaiting => ("not_waiting", S::CONFLICT, "The call is no longer waiting"),
            Self::AlreadyOver => ("already_over", S::CONFLICT, "The call is over"),
            Self::NotOver => ("not_over", S::CONFLICT, "The call is not over yet"),
            Self::NeedsForce => ("needs_force", S::CONFLICT, "Somebody has answered the call"),
            Self::NotInDoubt => (
                "not_in_doubt",
                S::CONFLICT,
                "There is no doubt about the call to end",
            ),
            Self::Held => ("held", S::CONFLICT, "The number is held"),
            Self::InFlight => (
                "in_flight",
                S::CONFLICT,
                "A call to the number is in flight",
            ),
            Self::KeyNeeded => (
                "key_needed",
                S::CONFLICT,
                "A young idempotency key is made of the number",
            ),
            Self::NameTaken => ("name_taken", S::CONFLICT, "The name is taken"),
            Self::InUse => ("in_use", S::CONFLICT, "Something names it"),
            Self::CursorGone => (
                "cursor_gone",
                S::GONE,
                "What came after this event is no longer here",
            ),
            Self::ChangedMeanwhile => (
                "changed_meanwhile",
                S::PRECONDITION_FAILED,
                "Somebody else has changed it",
            ),
            Self::BodyTooLarge => (
                "body_too_large",
                S::PAYLOAD_TOO_LARGE,
                "The body is too large",
            ),
            Self::BatchTooLarge => (
                "batch_too_large",
                S::PAYLOAD_TOO_LARGE,
                "The batch has too many items",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "Not in this format",
            ),
            Self::InvalidRequest => (
                "invalid_request",
                S::UNPROCESSABLE_ENTITY,
                "The request cannot be taken",
            ),
            Self::InvalidQuery => (
                "invalid_query",
                S::UNPROCESSABLE_ENTITY,
                "A query parameter cannot be taken",
            ),
            Self::InvalidId => (
                "invalid_id",
                S::UNPROCESSABLE_ENTITY,
                "This is not the id of a call",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                S::UNPROCESSABLE_ENTITY,
                "The idempotency key names another request",
            ),
            Self::Suppressed => (
                "suppressed",
                S::UNPROCESSABLE_ENTITY,
                "The number is on the do-not-call list",
            ),
            Self::ConsentMissing => (
                "consent_missing",
                S::UNPROCESSABLE_ENTITY,
                "The campaign requires consent",
            ),
            Self::UnknownCampaign => (
                "unknown_campaign",
                S::UNPROCESSABLE_ENTITY,
                "There is no such campaign",
            ),
            Self::CampaignOver => (
                "campaign_over",
                S::UNPROCESSABLE_ENTITY,
                "The campaign has ended",
            ),
            Self::UnknownTrunk => (
                "unknown_trunk",
                S::UNPROCESSABLE_ENTITY,
                "There is no such trunk",
            ),
            Self::Refused => ("refused", S::BAD_REQUEST, "The request cannot be taken"),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "A fault of ours"),
            Self::NoRoom => (
                "no_room",
                S::TOO_MANY_REQUESTS,
                "There is no room for it now",
            ),
            Self::TooManyAttempts => (
                "too_many_attempts",
                S::TOO_MANY_REQUESTS,
                "Too many wrong keys",
            ),
            Self::Unavailable => (
                "unavailable",
                S::SERVICE_UNAVAILABLE,
                "The database does not answer now",
            ),
            Self::TooManyStreams => (
                "too_many_streams",
                S::SERVICE_UNAVAILABLE,
                "There are too many streams",
            ),
            Self::TimedOut => ("timed_out", S::SERVICE_UNAVAILABLE, "It took too long"),
        }
    }

    /// The code as in JSON.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// Default HTTP status of the code.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Short title, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().2
    }
}
