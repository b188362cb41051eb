"""ElevenLabs' own client, models and verifier."""

import json
from importlib.metadata import version

from elevenlabs import (
    ConversationInitiationClientDataRequestInput,
    GetConversationResponseModel,
    GetConversationsPageResponseModel,
    TelephonyCallConfigInput,
)
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.errors import BadRequestError, UnprocessableEntityError

from stage import KEY, REFERENCE, SECRET, URL, Webhooks, flipped


def refused(exception, call):
    try:
        call()
    except exception as error:
        return error
    raise AssertionError(f"not refused with {exception.__name__}")


def strict(model, received):
    """The client takes what it gets; its models demand their fields."""
    return model.model_validate(received.model_dump(by_alias=True))


webhooks = Webhooks()
once = {"max_retries": 0}
client = ElevenLabs(api_key=KEY, base_url=URL)
agents = client.conversational_ai
order = {
    "agent_id": "agent_1",
    "to_number": "+14155550123",
    "conversation_initiation_client_data": ConversationInitiationClientDataRequestInput(
        user_id=REFERENCE, dynamic_variables={"pgdial_reference": REFERENCE, "name": "Ada"}
    ),
    "telephony_call_config": TelephonyCallConfigInput(ringing_timeout_secs=45),
    "request_options": once,
}
by_twilio = agents.twilio.outbound_call(agent_phone_number_id="phnum_1", **order)
assert by_twilio.success and by_twilio.call_sid, by_twilio
busy = {**order, "to_number": "+14155550166"}
by_sip = agents.sip_trunk.outbound_call(agent_phone_number_id="phnum_sip1", **busy)
assert by_sip.success and by_sip.sip_call_id, by_sip
none = agents.twilio.outbound_call(agent_phone_number_id="phnum_1", **{**order, "to_number": "911"})
assert not none.success and none.conversation_id is None, none

expected = {
    (by_twilio.conversation_id, "post_call_transcription"),
    (by_sip.conversation_id, "call_initiation_failure"),
}
reported = set()
while reported != expected:
    _, headers, body = webhooks.next()
    signature = headers["elevenlabs-signature"]
    event = client.webhooks.construct_event(body.decode(), signature, SECRET)
    refused(BadRequestError, lambda: client.webhooks.construct_event(flipped(body).decode(), signature, SECRET))
    reported.add((event["data"]["conversation_id"], event["type"]))
    assert reported <= expected, reported
    if event["type"] == "post_call_transcription":
        GetConversationResponseModel.model_validate(event["data"] | {"has_auxiliary_audio": False})

conversations = agents.conversations
ended = strict(GetConversationResponseModel, conversations.get(by_twilio.conversation_id))
assert ended.status in ("processing", "done") and ended.user_id == REFERENCE, ended
assert ended.metadata.call_duration_secs > 0 and ended.metadata.cost_fiat > 0, ended
assert ended.metadata.phone_call.call_result == "answered" and ended.metadata.accepted_time_unix_secs, ended
assert b"".join(conversations.audio.get(by_twilio.conversation_id))
failed = strict(GetConversationResponseModel, conversations.get(by_sip.conversation_id))
assert failed.status == "failed" and failed.metadata.phone_call.call_result == "busy", failed

first = strict(GetConversationsPageResponseModel, conversations.list(user_id=REFERENCE, page_size=1))
assert first.has_more and first.next_cursor, first
second = conversations.list(user_id=REFERENCE, page_size=1, cursor=first.next_cursor)
assert not second.has_more, second
listed = {row.conversation_id for row in first.conversations + second.conversations}
assert listed == {by_twilio.conversation_id, by_sip.conversation_id}, listed

assert agents.agents.get("agent_1").agent_id == "agent_1"
assert agents.phone_numbers.get("phnum_1").provider == "twilio"
assert agents.phone_numbers.get("phnum_sip1").provider == "sip_trunk"
assert client.user.subscription.get().status == "active"
[webhook] = client.webhooks.list().webhooks
assert webhook.webhook_url == webhooks.url and not webhook.is_auto_disabled, webhook
used = agents.settings.get().webhooks
assert used.post_call_webhook_id == webhook.webhook_id and "call_initiation_failure" in used.events, used

conversations.delete(by_sip.conversation_id)
assert refused(ApiError, lambda: conversations.get(by_sip.conversation_id)).status_code == 404
refused(UnprocessableEntityError, lambda: conversations.list(page_size=101))
wrong = ElevenLabs(api_key="wrong", base_url=URL).conversational_ai
error = refused(ApiError, lambda: wrong.conversations.list(request_options=once))
assert error.status_code == 401 and error.body["detail"]["status"] == "invalid_api_key", error
print(
    f"elevenlabs {version('elevenlabs')}: outbound calls by Twilio and SIP, conversations (get, list, audio, delete), agent, "
    f"number, settings, webhooks, subscription; {len(reported)} webhooks verified"
)
