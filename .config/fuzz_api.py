"""What schemathesis cannot know of our API: how a webhook is signed, how NDJSON is
written, and which rules of ours no JSON Schema can say."""

import hashlib
import hmac
import json
import os
import random
import re

import requests
import schemathesis

SIGNATURES = {
    "webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-timestamp", "svix-signature",
    "x-signature", "x-hub-signature-256", "x-webhook-signature",
}
SECRET = os.environ["FUZZ_API_SECRET"].encode()

# The rules that hold between fields, or between a request and the database.
RULES = [
    r"^there is no (campaign|trunk) ",
    r'^"expiresAt" must be later than "runAt"$',
    r'^"expiresAt" (lies in the past|must be a moment to come)',
    # Of a key.
    r'^"(campaigns" (names|cannot)|keep" must be )',
    r'^"maxAttempts" cannot be below the \d+ attempts already used$',
    r'^"metadata" (is larger than 16 KiB|has more than 32 levels|has a number beyond 1e300)',
    r"^a text contains the character U\+0000",
    r"^this idempotency key was used for another request",
    r'^the Idempotency-Key header and "idempotencyKey" differ',
    r"^an empty filter means every call",
    r'^"all" is true, or left out$',
    r"^the cursor is not one of ours",
    r'^completed calls are redriven with "force" only',
    r'^"force" is for redrive',
    r'^"why" ("why" )?is empty',
    r'^"why" is missing: whoever pauses',
    # Which numbers there are is a table.
    r'^"(to|from|number)"(\[\d\])? is ',
    # So are time zones, calling hours, contact limits and pools.
    r"^there (is no contact limit|are no calling hours) ",
    r'^"(timezone|regions|dispositionRules)"',
    r'^"topic" and "campaign" exclude each other',
    r'^"(callerIds|callingHours|contactLimits|preset)" ',
    r'^"consentExpiresAt" ',
    r'^"(startsAt|endsAt)" ',
    r'^"until" lies in the past',
    r'^"(days|firstDay|lastDay|calendar|week)"',
    r'^"name" of ',
    r'^"period" must be ',
    r'^"(goal|budget|answerGuard|ramp|rest|retryAt|topic)" ',
    r'^"region" (is|must be) ',
    # JSON Schema counts 3.0 among the whole numbers; here they are written without a fraction.
    r'^"(cap|slots|weight|maxAttempts|guard|dailyCap|atMost)" must be a whole number',
    r"^invalid type: floating point",
    r"^the number is on the do-not-call list",
    r"^its number was forgotten",
    # One body for cancel, redrive and resolve.
    r'^"as" is (for resolve|missing)',
    r"^there is no trunk of this name",
    # What kinds of events and which campaigns there are, and lengths of time.
    r'^"(kinds|campaigns|overlap)" ',
    r"^endpoint .* is paused",
    r"^there are 100 endpoints already",
    # What an address in brackets is.
    r'^"url" (must be|is missing)',
    r'^"q" goes with campaign, region and limit only',
    r"^(campaign|trunk) .* is archived",
    r'^"until" must be later than "from"$',
    r"^not a cursor",
    r"^the (cursor|event that the cursor names) ",
    r"^nothing to change was given$",
    r'^"(ringTimeout|maxDuration|busyBase|noAnswerBase|faultBase|voicemailBase|backoffCap|callsPerSecond|lookUp|reportsWithin)" must be ',
    r'^"(created|ended)(After|Before)" ',
]

# Ids of calls that there are, from the answers so far.
CALLS = []
# Always the same choices, so that a seed of schemathesis tells the same story again.
CHOICE = random.Random(0)


@schemathesis.check
def no_strange_refusal(ctx, response, case):
    """A request that keeps to its schema is refused by one of these rules, or not at all."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if positive and response.status_code == 422:
        problem = json.loads(response.content)
        faults = [fault["detail"] for fault in problem.get("errors", [])] or [problem["detail"]]
        for fault in faults:
            if not any(re.search(rule, fault) for rule in RULES):
                raise AssertionError(f"the document allows what is refused: {fault}")


class Signed(requests.auth.AuthBase):
    """Signs a webhook as a provider does, unless the fuzzer has put in a signature of its own."""

    def __call__(self, request):
        names = {name.lower() for name in request.headers}
        if not names & SIGNATURES:
            body = request.body or b""
            body = body.encode() if isinstance(body, str) else body
            request.headers["x-signature"] = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        return request


@schemathesis.hook
def filter_headers(context, headers):
    # HTTP drops white space at the ends, so the server may see a value that keeps to the document.
    return all(not isinstance(value, str) or value == value.strip() for value in (headers or {}).values())


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.path.startswith("/callbacks/call-status"):
        kwargs["auth"] = Signed()
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # Of the calls and campaigns that the fuzzer invents there is none, and most times are
    # over: every other request is given such that do.
    if CHOICE.random() < 0.5:
        if CALLS and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = CHOICE.choice(CALLS)
        if isinstance(case.body, dict):
            case.body.pop("expiresAt", None)
            if "to" in case.body:
                case.body["to"] = f"+1415555{CHOICE.randrange(10000):04}"
                case.body.pop("from", None)
                case.body.pop("region", None)
            if case.body.get("campaign"):
                case.body["campaign"] = "later"


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code in (200, 201) and case.operation.path == "/api/v1/calls":
        answer = json.loads(response.content)
        CALLS.extend(call["id"] for call in answer.get("calls", [answer]))


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    items = value if isinstance(value, list) else [value]
    return {"data": "".join(json.dumps(item) + "\n" for item in items).encode()}


@schemathesis.deserializer("application/x-ndjson")
def read_ndjson(context, response):
    # Each line is a result by itself; the document describes one of them.
    results = [json.loads(line) for line in response.content.splitlines()]
    return results[0] if results else {}
