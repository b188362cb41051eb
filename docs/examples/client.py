"""A client for pgdial's API: Python 3.9 or newer, no packages.

    PGDIAL_URL=http://127.0.0.1:8080 PGDIAL_KEY=... python3 client.py +14155550124
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("PGDIAL_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("PGDIAL_KEY")


class Refused(Exception):
    def __init__(self, status, problem):
        super().__init__(problem.get("detail") or problem.get("title"))
        self.status = status
        self.code = problem.get("code")  # stable: suppressed, unknown_campaign, ...


def request(method, path, body=None, headers=None):
    headers = dict(headers or {})
    if KEY:
        headers["authorization"] = "Bearer " + KEY
    if body is not None:
        headers["content-type"] = "application/json"
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refused(error.code, json.load(error)) from error


def enqueue(call, idempotency_key):
    """Requests a call. The same key returns the same call, so a retry rings nobody twice."""
    for attempt in range(1, 6):
        try:
            return request("POST", "/api/v1/calls", call, {"idempotency-key": idempotency_key})
        except Refused as error:
            if error.status < 500 and error.status != 409 or attempt == 5:
                raise
        except OSError:
            if attempt == 5:
                raise
        time.sleep(0.2 * 2**attempt)


def show(call_id):
    return request("GET", f"/api/v1/calls/{call_id}")


def why(call_id):
    return request("GET", f"/api/v1/calls/{call_id}/why")


if __name__ == "__main__":
    to = sys.argv[1]
    order = {"to": to, "scriptId": "welcome", "metadata": {"name": "Ada"}}
    call = enqueue(order, f"order-{to}")
    again = enqueue(order, f"order-{to}")
    if again["id"] != call["id"]:
        sys.exit("the same key brought another call")
    print(call["id"], show(call["id"])["state"])
