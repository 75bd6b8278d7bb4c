"""A guard before an S3 server that checks no signatures: `s3_guard.py PORT BEHIND REGION KEY-ID KEY [CERTIFICATE CERTIFICATE-KEY]`.

Every request is signed again by botocore, AWS's own library, with version 4 for the region; one that is signed otherwise is refused as OSS and S3 refuse it, and so is
a body that has another MD5 than its header. With a certificate it speaks TLS.
"""

import base64
import hashlib
import http.client
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PORT, BEHIND, REGION, KEY_ID, KEY = int(sys.argv[1]), *sys.argv[2:6]
REFUSED = b'<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error>'
ALTERED = b'<?xml version="1.0"?><Error><Code>BadDigest</Code><Message>The Content-MD5 did not match what came.</Message></Error>'


def wrong_with(method, target, headers, body, scheme):
    """What is wrong with the signature; nothing when it is right."""
    said = headers.get("Authorization", "")
    if not said.startswith("AWS4-HMAC-SHA256 "):
        return "no signature of version 4"
    parts = dict(part.strip().split("=", 1) for part in said.split(" ", 1)[1].split(","))
    date = headers["X-Amz-Date"]
    if parts["Credential"] != f"{KEY_ID}/{date[:8]}/{REGION}/s3/aws4_request":
        return f"signed for {parts['Credential']}"
    summed = headers["X-Amz-Content-Sha256"]
    if summed != "UNSIGNED-PAYLOAD" and summed != hashlib.sha256(body).hexdigest():
        return "the sum of the body is another"
    names = parts["SignedHeaders"].split(";")
    for needed in [name.lower() for name in headers if name.lower().startswith("x-amz-")] + ["host"]:
        if needed not in names:
            return f"{needed} is not signed"
    # What a server does: the names as they are meant, written again as the rules of the signature write them.
    path, _, query = target.partition("?")
    path = quote(unquote(path), safe="/-_.~")
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in parse_qsl(query, keep_blank_values=True))
    target = f"{path}?{query}" if query else path
    request = AWSRequest(method, f"{scheme}://{headers['Host']}{target}", {name: headers[name] for name in names if name != "host"}, body)
    request.context["timestamp"] = date
    request.context["payload_signing_enabled"] = summed != "UNSIGNED-PAYLOAD"
    auth = S3SigV4Auth(Credentials(KEY_ID, KEY), "s3", REGION)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    return "" if signature == parts["Signature"] else f"signed {parts['Signature']} and not {signature} of {canonical!r}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scheme = "http"

    def log_message(self, *_):
        pass

    def serve(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        wrong = wrong_with(self.command, self.path, self.headers, body, self.scheme)
        if wrong:
            print(wrong, file=sys.stderr, flush=True)
            return self.answer(403, [("content-type", "application/xml")], REFUSED % wrong.encode())
        summed = self.headers.get("content-md5")
        if summed and base64.b64decode(summed) != hashlib.md5(body).digest():
            return self.answer(400, [("content-type", "application/xml")], ALTERED)
        behind = http.client.HTTPConnection(BEHIND, timeout=60)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        self.answer(answer.status, answer.getheaders(), answer.read())
        behind.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "date", "server", "content-length"):
                self.send_header(name, value)
            elif name.lower() == "content-length" and self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
if len(sys.argv) > 6:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[6], sys.argv[7])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Handler.scheme = "https"
server.serve_forever()
