"""Vapi's own client, and its models of webhooks. It has no verifier: its documentation has the HMAC."""

import hashlib
import hmac
import json
import urllib.request
from datetime import datetime, timedelta, timezone

import vapi
from vapi.core.api_error import ApiError
from vapi.types.call import Call
from vapi.types.server_message import ServerMessage

from stage import KEY, REFERENCE, SECRET, URL, Webhooks, flipped

ONCE = {"max_retries": 0}


def verify(body, headers):
    signed = f"{headers['x-timestamp']}.".encode() + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(digest, headers["x-signature"])


def refused(ask, status):
    try:
        ask()
    except ApiError as error:
        assert error.status_code == status and error.body["statusCode"] == status, error
    else:
        raise AssertionError(f"it was not refused with {status}")


webhooks = Webhooks()
client = vapi.Vapi(token=KEY, base_url=URL)


def place(**more):
    return client.calls.create(
        name=REFERENCE,
        assistant_id="assistant_1",
        phone_number_id="number_1",
        customer={"number": "+14155550123", "externalId": REFERENCE},
        assistant_overrides={
            "variableValues": {"name": "Ada"},
            "metadata": {"pgdial_reference": REFERENCE},
            "server": {"url": webhooks.url, "credentialId": "credential_1"},
        },
        request_options=ONCE,
        **more,
    )


def message():
    _, headers, body = webhooks.next()
    assert verify(body, headers) and not verify(flipped(body), headers), body
    # The client itself constructs its models unchecked.
    said = ServerMessage.model_validate(json.loads(body)).message
    assert isinstance(said.call, Call), said
    return said


placed = place()
assert isinstance(placed, Call) and placed.status == "queued", placed
for status in ("queued", "ringing", "in-progress", "ended"):
    said = message()
    assert (said.type, said.status) == ("status-update", status), said
report = message()
assert report.type == "end-of-call-report" and report.ended_reason == "customer-ended-call", report
assert report.cost > 0 and report.ended_at > report.started_at, report
assert report.artifact.recording_url and report.artifact.transcript, report

shown = client.calls.get(placed.id, request_options=ONCE)
Call.model_validate(shown.model_dump(by_alias=True, exclude_unset=True))
assert shown.ended_reason == report.ended_reason and shown.cost == report.cost, shown
now = datetime.now(timezone.utc)
hour = timedelta(hours=1)
listed = client.calls.list(created_at_ge=now - hour, created_at_lt=now + hour, limit=50, request_options=ONCE)
assert [call.id for call in listed] == [placed.id] and listed[0].name == REFERENCE, listed
assert client.calls.list(created_at_gt=now + hour, request_options=ONCE) == []
assert client.assistants.get("assistant_1").id == "assistant_1"
assert client.squads.get("squad_1").id == "squad_1"
assert client.phone_numbers.get("number_1").provider == "twilio"

# A live call ends at a URL of its own. To delete a call does not end it.
live = place()
while message().status != "in-progress":
    pass
assert client.calls.delete(live.id, request_options=ONCE).id == live.id
while message().type != "end-of-call-report":
    pass
refused(lambda: client.calls.get(live.id, request_options=ONCE), 404)
live = place()
while message().status != "in-progress":
    pass
command = urllib.request.Request(live.monitor.control_url, b'{"type":"end-call"}', {"Content-Type": "application/json"})
assert urllib.request.urlopen(command).status == 200
assert message().status == "ended"

refused(lambda: place(squad_id="squad_1"), 400)
stranger = vapi.Vapi(token="wrong", base_url=URL)
refused(lambda: stranger.calls.list(request_options=ONCE), 401)
print("vapi_server_sdk 3.0.0: create, get, list, delete, assistant, squad, number, control; all webhooks verified")
