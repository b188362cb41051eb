"""The API through what openapi-python-client makes of its document: scripts/check-clients."""

import datetime
import sys

from pgdial_client import Client
from pgdial_client.api.calls import cancel_call, create_call, list_calls, show_call
from pgdial_client.models import Call, CallPage, CallRequest, CallState, CancelRequest, CancelResponse, Code, Problem

url, to = sys.argv[1:]
client = Client(base_url=url)

tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
call = create_call.sync(client=client, body=CallRequest(to=to, script_id="welcome", run_at=tomorrow))
assert isinstance(call, Call), call

shown = show_call.sync(call.id, client=client)
assert isinstance(shown, Call) and shown.state == CallState.WAITING, shown

listed = list_calls.sync(client=client, to=to, state=[CallState.WAITING], limit=1)
assert isinstance(listed, CallPage) and listed.calls[0].id == call.id, listed

canceled = cancel_call.sync(call.id, client=client, body=CancelRequest(why="a test"))
assert isinstance(canceled, CancelResponse) and canceled.result == "canceled", canceled

refused = create_call.sync(client=client, body=CallRequest(to="555", script_id="welcome"))
assert isinstance(refused, Problem) and refused.code == Code.INVALID_REQUEST, refused
assert refused.errors[0].pointer == "#/to", refused

print(call.id, canceled.call.state)
