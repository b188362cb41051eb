"""What the checks of all platforms share: where the fake provider is, and an endpoint for its webhooks.

A check is run as `python check_PLATFORM.py URL KEY SECRET PORT`; the account's webhooks go to that port. It makes its calls with the platform's own client, and lets the
platform's own verifier judge the webhooks.
"""

import http.server
import queue
import sys
import threading

URL, KEY, SECRET, PORT = sys.argv[1:5]
REFERENCE = "0197f5e0-0000-7000-8000-000000000001-1"


class Webhooks:
    """Receives webhooks, in the order of their arrival, as (path, headers, body)."""

    def __init__(self):
        received = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                received.put((self.path, self.headers, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}/hooks"
        self._received = received

    def next(self):
        return self._received.get(timeout=20)


def flipped(body):
    """The body with one bit changed, which no verifier may accept."""
    return body[:-1] + bytes([body[-1] ^ 1])
