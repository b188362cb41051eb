"""Retell's own client and verifier."""

import json

import retell
from retell.lib.webhook_auth import verify

from stage import KEY, REFERENCE, SECRET, URL, Webhooks, flipped

webhooks = Webhooks()
client = retell.Retell(api_key=KEY, base_url=URL, max_retries=0)
call = client.call.create_phone_call(
    from_number="+14155550100",
    to_number="+14155550123",
    override_agent_id="agent_1",
    idempotency_key=REFERENCE,
    metadata={"pgdial_reference": REFERENCE},
    retell_llm_dynamic_variables={"name": "Ada"},
    agent_override={"agent": {"webhook_url": webhooks.url}},
)
assert call.call_status == "registered", call

for event in ("call_started", "call_ended", "call_analyzed"):
    _, headers, body = webhooks.next()
    signature = headers["x-retell-signature"]
    assert verify(body.decode(), SECRET, signature), event
    assert not verify(flipped(body).decode(), SECRET, signature), event
    assert json.loads(body)["event"] == event

ended = client.call.retrieve(call.call_id)
assert ended.disconnection_reason == "user_hangup" and ended.duration_ms > 0, ended
assert ended.call_cost.combined_cost > 0 and ended.recording_url and ended.transcript, ended
listed = client.call.list(
    filter_criteria={"metadata": [{"key": "pgdial_reference", "type": "string", "op": "eq", "value": REFERENCE}]}
)
assert [item.call_id for item in listed.items] == [call.call_id], listed
assert client.concurrency.retrieve().concurrency_limit > 0
assert client.agent.retrieve("agent_1").agent_id == "agent_1"
assert client.phone_number.retrieve("+14155550100").phone_number == "+14155550100"

long = client.call.create_phone_call(from_number="+14155550100", to_number="+14155550199", override_agent_id="agent_1")
client.call.stop(long.call_id)
try:
    client.call.retrieve("call_0")
    raise AssertionError("an unknown call was found")
except retell.UnprocessableEntityError:
    pass
try:
    retell.Retell(api_key="wrong", base_url=URL, max_retries=0).call.list()
    raise AssertionError("a wrong key was accepted")
except retell.AuthenticationError:
    pass
print(f"retell-sdk {retell.__version__}: create, retrieve, list, stop, agent, number, concurrency; 3 webhooks verified")
