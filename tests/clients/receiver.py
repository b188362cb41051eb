"""A receiver of events, with the library of Standard Webhooks: scripts/check-clients."""

import json
import queue
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

url, to = sys.argv[1:]
received = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        received.put((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} if data else {}
    request = urllib.request.Request(f"{url}/api/v1/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read() or b"null")


def verified(secret):
    headers, body = received.get(timeout=60)
    headers = {name.lower(): value for name, value in headers.items()}
    try:
        Webhook("whsec_" + "bm90IHRoZSBzZWNyZXQ=").verify(body, headers)
        raise AssertionError("another secret verifies it too")
    except WebhookVerificationError:
        pass
    return Webhook(secret).verify(body, headers)


name = f"python-{to[-4:]}"
hooks = f"http://127.0.0.1:{server.server_port}/hooks"
secret = ask("POST", "endpoints", {"name": name, "url": hooks, "kinds": ["waiting"]})["secret"]
call = ask("POST", "calls", {"to": to, "scriptId": "welcome", "metadata": {"name": "Ada"}})
event = verified(secret)
assert event["type"] == "call.waiting" and event["data"]["callId"] == call["id"], event
assert event["data"]["metadata"] == {"name": "Ada"} and event["data"]["to"] == to, event

# Both secrets verify while one replaces the other.
new = ask("POST", f"endpoints/{name}/rotate", {"overlap": "1 hour"})["secret"]
for each in (secret, new):
    ask("POST", f"endpoints/{name}/test")
    assert verified(each)["type"] == "test"

urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/endpoints/{name}", method="DELETE"))
print(call["id"], event["data"]["kind"])
