"""Bland has no client and no verifier: plain HTTP, and the HMAC, as its documentation has them."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from stage import KEY, REFERENCE, SECRET, URL, Webhooks, flipped


def ask(method, path, body=None, key=KEY):
    headers = {"authorization": key, "Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, body and json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def verify(body, signature):
    return hmac.compare_digest(hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(), signature)


webhooks = Webhooks()


def place(number):
    status, placed = ask(
        "POST",
        "/v1/calls",
        {
            "phone_number": number,
            "from": "+14155550100",
            "pathway_id": "a0f0d4ed-f5f5-4f16-b3f9-22166594d7a7",
            "request_data": {"name": "Ada"},
            "metadata": {"pgdial_reference": REFERENCE},
            # Without a certificate, https is only a word.
            "webhook": webhooks.url.replace("http", "https", 1),
            "webhook_events": ["queue", "call"],
            "record": True,
        },
    )
    assert status == 200 and placed["status"] == "success", placed
    return placed["call_id"]


def report():
    _, headers, body = webhooks.next()
    signature = headers["X-Webhook-Signature"]
    assert verify(body, signature) and not verify(flipped(body), signature), body
    return json.loads(body)


call = place("+14155550123")
assert report()["message"] == "Call enqueued"
assert report()["message"] == "Call connected"
over = report()
assert (over["status"], over["answered_by"], over["metadata"]) == ("completed", "human", {"pgdial_reference": REFERENCE})
assert int(over["corrected_duration"]) >= 1 and over["price"] > 0 and over["recording_url"], over
assert ask("GET", f"/v1/calls/{call}") == (200, over)
day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
query = urllib.parse.urlencode({"to_number": "+14155550123", "start_date": day, "from": 0, "to": 100})
status, listed = ask("GET", f"/v1/calls?{query}")
assert listed["total_count"] == 1 and listed["calls"][0]["call_id"] == call, listed

live = place("+14155550124")
assert report()["category"] == "queue"
assert report()["category"] == "call"
assert ask("POST", f"/v1/calls/{live}/stop", {})[1]["status"] == "success"
assert report()["completed"]
assert ask("POST", f"/v1/calls/{live}/stop", {})[1]["status"] == "error"

assert ask("GET", "/v1/me")[1]["status"] == "active"
assert ask("GET", "/v1/inbound")[1]["inbound_numbers"][0]["phone_number"] == "+14155550100"
assert ask("GET", "/v1/pathway/welcome/version/3")[1]["name"]
assert ask("GET", "/v1/personas/ada")[1]["data"]["id"] == "ada"
assert ask("GET", "/v1/calls/none")[0] == 404
assert ask("GET", "/v1/me", key=f"Bearer {KEY}")[0] == 401
print("plain HTTP: create, get, list, stop, account, number, pathway, persona; all webhooks verified")
