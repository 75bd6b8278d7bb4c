"""TLS and logins (SASL) before a Kafka broker that has neither: `kafka_front.py BROKER-PORT CERTIFICATE KEY MECHANISM USER PASSWORD PORT`.

It says `ready`, takes TLS connections, answers the requests of the login itself, and lets nothing else pass before that went well. SCRAM is that of the
package `scramp`, written by others.
"""

import socket
import ssl
import struct
import sys
import threading

from scramp import ScramException, ScramMechanism

HANDSHAKE, VERSIONS, AUTHENTICATE = 17, 18, 36


def exactly(stream, length):
    data = b""
    while len(data) < length:
        part = stream.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def frame(stream):
    return exactly(stream, struct.unpack(">i", exactly(stream, 4))[0])


def framed(data):
    return struct.pack(">i", len(data)) + data


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def behind_head(request):
    """The body of a request: behind its kind, version, number and the name of the client."""
    return request[10 + max(0, struct.unpack(">h", request[8:10])[0]):]


class Login:
    def __init__(self, mechanism, user, password):
        self.name, self.user, self.password, self.server, self.done = mechanism, user, password, None, False
        if mechanism != "PLAIN":
            known = ScramMechanism(mechanism)
            kept = known.make_auth_info(password, iteration_count=4096)
            self.server = known.make_server(lambda name: kept if name == user else None)
            self.steps = 0

    def handshake(self, body):
        wanted = body[2:2 + struct.unpack(">h", body[:2])[0]].decode()
        known = struct.pack(">i", 1) + text(self.name)
        return struct.pack(">h", 0 if wanted == self.name else 33) + known

    def authenticate(self, body):
        said = body[4:].decode()
        try:
            answer = self.plain(said) if self.server is None else self.scram(said)
        except (ScramException, PermissionError, KeyError, AttributeError, TypeError) as wrong:
            return struct.pack(">h", 58) + text(f"no: {type(wrong).__name__}") + struct.pack(">i", 0)
        return struct.pack(">h", 0) + struct.pack(">h", -1) + struct.pack(">i", len(answer)) + answer.encode()

    def plain(self, said):
        if said != f"\0{self.user}\0{self.password}":
            raise PermissionError
        self.done = True
        return ""

    def scram(self, said):
        self.steps += 1
        if self.steps == 1:
            self.server.set_client_first(said)
            return self.server.get_server_first()
        self.server.set_client_final(said)
        self.done = True
        return self.server.get_server_final()


def serve(stream, broker, login):
    behind = socket.create_connection(("127.0.0.1", broker))
    try:
        while True:
            request = frame(stream)
            kind, version, number = struct.unpack(">hhi", request[:8])
            if kind in (HANDSHAKE, AUTHENTICATE):
                body = behind_head(request)
                answer = login.handshake(body) if kind == HANDSHAKE else login.authenticate(body)
                if kind == AUTHENTICATE and version > 0:
                    answer += struct.pack(">q", 0)
                stream.sendall(framed(struct.pack(">i", number) + answer))
            elif login.done or kind == VERSIONS:
                behind.sendall(framed(request))
                stream.sendall(framed(frame(behind)))
            else:
                return
    except (EOFError, OSError):
        pass
    finally:
        stream.close()
        behind.close()


def main():
    broker, certificate, key, *login = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", int(login.pop())))
    print("ready", flush=True)

    def one(raw):
        try:
            stream = context.wrap_socket(raw, server_side=True)
        except (ssl.SSLError, OSError):
            return
        serve(stream, int(broker), Login(*login))

    while True:
        raw, _ = listener.accept()
        threading.Thread(target=one, args=(raw,), daemon=True).start()


main()
