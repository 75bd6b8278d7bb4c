"""A receiver of webhooks to try a trail with: prints the events that it takes, one a line.

    python3 hook.py 127.0.0.1:9001 SECRET

It computes each signature again, refuses wrong and old ones, and drops what comes again under the same key.
"""

import hashlib
import hmac
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OLD_SECONDS = 300
HOST, PORT = sys.argv[1].rsplit(":", 1)
SECRET = sys.argv[2].encode()
taken = set()


def is_signed(signature, body):
    fields = dict(field.split("=", 1) for field in signature.split(",") if "=" in field)
    seconds, mark = fields.get("t", ""), fields.get("v1", "")
    if not seconds.isdigit() or abs(time.time() - int(seconds)) > OLD_SECONDS:
        return False
    wanted = hmac.new(SECRET, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, mark)


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        good = is_signed(self.headers.get("X-Traild-Signature", ""), body)
        key = self.headers.get("Idempotency-Key")
        if good and self.headers.get("X-Traild-Probe") != "1" and key not in taken:
            taken.add(key)
            sys.stdout.buffer.write(body)
            sys.stdout.flush()
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer((HOST, int(PORT)), Hook).serve_forever()
