"""Telnyx's own client and verifier."""

import base64
import json

import telnyx
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

from stage import KEY, REFERENCE, URL, Webhooks, flipped

CONNECTION = "7267000000000000001"
STATE = base64.b64encode(json.dumps({"ref": REFERENCE}).encode()).decode()


def client_of(key, public_key=None):
    return telnyx.Telnyx(api_key=key, base_url=f"{URL}/v2", public_key=public_key, max_retries=0)


webhooks = Webhooks()
public_key = client_of(KEY).get("/public_key", cast_to=object)["data"]["public"]
client = client_of(KEY, public_key)


def dial(to, command_id, **options):
    dialled = client.calls.dial(
        connection_id=CONNECTION, to=to, from_="+14155550100", command_id=command_id, client_state=STATE, **options
    )
    return dialled.data


call = dial(
    "+14155550123",
    REFERENCE,
    webhook_url=webhooks.url,
    webhook_retries_policies={"call.hangup": {"retries_ms": [1000, 5000]}},
    timeout_secs=45,
    retry_on_timeout=False,
    time_limit_secs=900,
    answering_machine_detection="detect",
    record="record-from-answer",
    assistant={"id": "assistant-1", "dynamic_variables": {"name": "Ada"}},
)
assert call.is_alive is False and call.record_type == "call" and call.client_state == STATE, call

for event in (
    "call.initiated",
    "call.answered",
    "call.machine.detection.ended",
    "call.hangup",
    "call.cost",
    "call.recording.saved",
):
    _, headers, body = webhooks.next()
    verify_webhook_signature(body, headers, public_key)
    try:
        verify_webhook_signature(flipped(body), headers, public_key)
        raise AssertionError(f"a changed {event} was accepted")
    except WebhookVerificationError:
        pass
    told = client.webhooks.unwrap(body.decode(), headers=dict(headers)).data
    assert told.event_type == event and told.payload.client_state == STATE, told
    assert told.payload.call_leg_id == call.call_leg_id, told
    if event == "call.hangup":
        assert (told.payload.hangup_cause, told.payload.sip_hangup_cause) == ("normal_clearing", "200"), told
    if event == "call.cost":
        assert float(told.payload.total_cost) > 0 and told.payload.cost_parts[0].currency == "USD", told

ended = client.calls.retrieve_status(call.call_control_id).data
assert not ended.is_alive and ended.end_time > ended.start_time, ended
heard = client.call_events.list(filter={"leg_id": call.call_leg_id}, page_size=4)
assert [event.name for event in heard] == [
    "call.initiated",
    "call.answered",
    "call.machine.detection.ended",
    "call.hangup",
    "call.cost",
    "call.recording.saved",
], heard

live = dial("+14155550199", "other")
(active,) = client.connections.list_active_calls(CONNECTION)
assert active.call_control_id == live.call_control_id and active.client_state == STATE, active
assert dial("+14155550199", "other").call_control_id == live.call_control_id
assert client.calls.actions.hangup(live.call_control_id).data.result == "ok"
try:
    client.calls.actions.hangup(call.call_control_id)
    raise AssertionError("a call that is over was ended")
except telnyx.UnprocessableEntityError as refused:
    assert refused.body["errors"][0]["code"] == "90018", refused.body

assert client.balance.retrieve().data.currency == "USD"
assert client.call_control_applications.retrieve(CONNECTION).data.active
(number,) = client.phone_numbers.list(filter={"phone_number": "+14155550100"})
assert number.status == "active" and number.connection_id == CONNECTION, number
assert client.ai.assistants.retrieve("assistant-1").id == "assistant-1"
for wrong, error in (
    (lambda: client.verified_numbers.retrieve("+14155550100"), telnyx.NotFoundError),
    (lambda: client.calls.retrieve_status("v3:0"), telnyx.NotFoundError),
    (lambda: dial("4155550199", "third"), telnyx.UnprocessableEntityError),
    (lambda: client_of("wrong").balance.retrieve(), telnyx.AuthenticationError),
):
    try:
        wrong()
        raise AssertionError(f"no {error.__name__}")
    except error:
        pass
print(f"telnyx {telnyx.__version__}: dial, status, events, active calls, hang-up, account; 6 webhooks verified")
