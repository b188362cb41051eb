"""Twilio's own client and verifier."""

import time
from urllib.parse import parse_qsl

from stage import KEY, REFERENCE, SECRET, URL, Webhooks, flipped
from twilio import __version__
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

ACCOUNT = "AC00000000000000000000000000000001"


def client_of(user, password):
    client = Client(user, password, ACCOUNT)
    client.api.base_url = URL
    return client


webhooks = Webhooks()
client = client_of(ACCOUNT, KEY)
verifier = RequestValidator(SECRET)
call = client.calls.create(
    to="+14155550123",
    from_="+14155550100",
    url="https://scripts.example.com/v/welcome?name=Ada",
    status_callback=f"{webhooks.url}/default/{REFERENCE}/tag?b=1&a=2",
    status_callback_event=["initiated", "ringing", "answered", "completed"],
    machine_detection="Enable",
    record=True,
    timeout=45,
    time_limit=900,
)
assert call.status == "queued" and call.direction == "outbound-api", call

for status in ("initiated", "ringing", "in-progress", "completed"):
    path, headers, body = webhooks.next()
    url = webhooks.url.removesuffix("/hooks") + path
    signature = headers["X-Twilio-Signature"]
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    assert verifier.validate(url, form, signature), status
    assert not verifier.validate(url + "0", form, signature), status
    other = dict(parse_qsl(flipped(body).decode(), keep_blank_values=True))
    assert not verifier.validate(url, other, signature), status
    assert form["CallStatus"] == status and form["CallSid"] == call.sid, form
assert form["AnsweredBy"] == "human" and form["RecordingUrl"] and int(form["CallDuration"]) > 0, form

ended = call.fetch()
assert ended.status == "completed" and ended.end_time >= ended.start_time, ended
deadline = time.monotonic() + 20
while ended.price is None and time.monotonic() < deadline:
    ended = call.fetch()
assert float(ended.price) < 0 and ended.price_unit == "USD", ended.price


def another():
    """A call that has left the queue: until then it has no start by which a list could find it."""
    placed = client.calls.create(to="+14155550199", from_="+14155550100", twiml="<Response/>")
    deadline = time.monotonic() + 20
    while placed.status == "queued" and time.monotonic() < deadline:
        placed = placed.fetch()
    return placed


others = [another() for _ in range(3)]
listed = client.calls.list(start_time_after=ended.start_time, page_size=2)
assert [one.sid for one in listed] == [one.sid for one in reversed([call, *others])], listed
assert [one.sid for one in client.calls.list(to="+14155550123", status="completed")] == [call.sid]

assert another().update(status="completed").status in ("completed", "canceled")
try:
    call.update(status="completed")
    raise AssertionError("a call that is over was ended")
except TwilioRestException as refused:
    assert (refused.status, refused.code) == (400, 21220), refused
assert another().delete(), "a record was not deleted"

assert client.api.accounts(ACCOUNT).fetch().status == "active"
assert client.balance.fetch().currency == "USD"
(number,) = client.incoming_phone_numbers.list(phone_number="+14155550100")
assert number.phone_number == "+14155550100" and number.capabilities["voice"], number
assert client.outgoing_caller_ids.list(phone_number="+14155550100") == []

for user, password in ((ACCOUNT, "wrong"), ("SK00000000000000000000000000000001", KEY)):
    try:
        client_of(user, password).calls(call.sid).fetch()
        raise AssertionError(f"{user} was let in")
    except TwilioRestException as refused:
        assert (refused.status, refused.code) == (401, 20003), refused
print(f"twilio {__version__}: create, fetch, list, update, delete, account, balance, numbers; 4 callbacks verified")
