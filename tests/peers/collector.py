"""Log services as their vendors' own Python classes read them: `collector.py PORT`.

`POST /v1/logs` is OTLP, decoded by the official classes of OpenTelemetry. `POST /logstores/..` is PutLogs of SLS: signed again by the vendor's SDK and decoded
by its classes. `GET /taken` says what came: trail, sequence, time in nanoseconds, event. What is wrong is answered with 400 and the reason.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import lz4.block
from aliyun.log.auth import AuthV1, AuthV4
from aliyun.log.credentials import StaticCredentialsProvider
from aliyun.log.log_logs_pb2 import LogGroup
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

TAKEN = []


def otlp(headers, body):
    if headers["content-encoding"] == "gzip":
        body = gzip.decompress(body)
    request = ExportLogsServiceRequest()
    request.ParseFromString(body)
    assert len(UnknownFieldSet(request)) == 0
    for resource in request.resource_logs:
        names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        assert names == {"service.name": "traild"}, names
        for scope in resource.scope_logs:
            assert scope.scope.name == "traild"
            for record in scope.log_records:
                about = {pair.key: pair.value for pair in record.attributes}
                assert record.severity_number == 9 and record.observed_time_unix_nano > 0, record
                sequence, trail = about["traild.sequence"].int_value, about["traild.trail"].string_value
                TAKEN.append([trail, sequence, record.time_unix_nano, record.body.string_value])
    return ExportLogsServiceResponse().SerializeToString()


def signed_again(path, headers, body):
    """What the vendor's SDK writes into `Authorization` for the same request."""
    version4 = headers["authorization"].startswith("SLS4")
    credentials = StaticCredentialsProvider("AKID", "the secret of the tests")
    ours = {name: value for name, value in headers.items() if name not in ("authorization", "connection", "accept", "user-agent")}
    if version4:
        auth = AuthV4(credentials, "cn-hangzhou")
        return auth._do_sign_request("POST", path, {}, ours, body, headers["x-log-date"])
    # The SDK looks for these by name as it writes them itself.
    ours["Content-Type"] = ours.pop("content-type")
    auth = AuthV1(credentials)
    auth._getGMT = lambda: headers["date"]
    del ours["date"], ours["content-md5"]
    auth.sign_request("POST", path, {}, ours, body)
    assert ours["Content-MD5"] == headers["content-md5"]
    return ours["Authorization"]


def putlogs(path, headers, body):
    expected = signed_again(path, headers, body)
    assert headers["authorization"] == expected, f"signed {headers['authorization']} and not {expected}"
    assert headers["x-log-compresstype"] == "lz4"
    raw = lz4.block.decompress(body, uncompressed_size=int(headers["x-log-bodyrawsize"]))
    group = LogGroup()
    group.ParseFromString(raw)
    tags = {tag.Key: tag.Value for tag in group.LogTags}
    assert group.Topic == "actiontrail_audit_event", group.Topic
    for log in group.Logs:
        contents = {pair.Key: pair.Value for pair in log.Contents}
        nanos = log.Time * 10**9 + log.Time_ns
        TAKEN.append([tags["traild_trail"], int(contents["traild_sequence"]), nanos, contents["event"]])
    return b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, json.dumps(TAKEN).encode())

    def do_POST(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers.setdefault("content-encoding", "")
        body = self.rfile.read(int(headers["content-length"]))
        try:
            if self.path == "/v1/logs":
                self.answer(200, otlp(headers, body), "application/x-protobuf")
            else:
                del headers["content-encoding"]
                self.answer(200, putlogs(self.path, headers, body))
        except Exception as wrong:
            self.answer(400, json.dumps({"errorCode": "PostBodyInvalid", "errorMessage": repr(wrong)}).encode())

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
