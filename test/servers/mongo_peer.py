"""mongo_peer.py PORT USER PASSWORD [CERTIFICATE KEY CA]: a stand-in that speaks MongoDB's wire protocol: hello, SCRAM-SHA-256, ping, and the
aggregation of a count over a few documents. It is not MongoDB. With a CA it demands a client's certificate."""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
import sys
import threading

DOCUMENTS = {("jobs", "jobs"): [{"state": "waiting", "size": 1}, {"state": "waiting", "size": 5}, {"state": "waiting", "size": 9},
                                {"state": "done", "size": 1}]}
ITERATIONS = 4096


def decode(data, at=0):
    """A document: a dict, or a list's with keys "0", "1" ..."""
    end, out = at + struct.unpack_from("<i", data, at)[0] - 1, {}
    at += 4
    while at < end:
        kind, stop = data[at], data.index(0, at + 1)
        name, at = data[at + 1:stop].decode(), stop + 1
        if kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 2:
            size = struct.unpack_from("<i", data, at)[0]
            value, at = data[at + 4:at + 3 + size].decode(), at + 4 + size
        elif kind in (3, 4):
            value = decode(data, at)
            value, at = list(value.values()) if kind == 4 else value, at + struct.unpack_from("<i", data, at)[0]
        elif kind == 5:
            size = struct.unpack_from("<i", data, at)[0]
            value, at = data[at + 5:at + 5 + size], at + 5 + size
        elif kind == 7:
            value, at = data[at:at + 12], at + 12
        elif kind == 8:
            value, at = bool(data[at]), at + 1
        elif kind == 10:
            value = None
        elif kind == 16:
            value, at = struct.unpack_from("<i", data, at)[0], at + 4
        else:  # dates, timestamps, 64 bits
            value, at = struct.unpack_from("<q", data, at)[0], at + 8
        out[name] = value
    return out


def element(name, value):
    head = name.encode() + b"\0"
    if isinstance(value, bool):
        return b"\x08" + head + bytes([value])
    if isinstance(value, int):
        return b"\x10" + head + struct.pack("<i", value)
    if isinstance(value, float):
        return b"\x01" + head + struct.pack("<d", value)
    if isinstance(value, str):
        return b"\x02" + head + struct.pack("<i", len(value.encode()) + 1) + value.encode() + b"\0"
    if isinstance(value, bytes):
        return b"\x05" + head + struct.pack("<iB", len(value), 0) + value
    if isinstance(value, list):
        return b"\x04" + head + encode({str(index): item for index, item in enumerate(value)})
    return b"\x03" + head + encode(value)


def encode(document):
    body = b"".join(element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


class Refused(Exception):
    pass


def fits(document, query):
    for name, wanted in query.items():
        for operator, operand in (wanted if isinstance(wanted, dict) else {"$eq": wanted}).items():
            value = document.get(name, 1 if name == "_id" else None)
            good = {"$eq": value == operand, "$exists": (value is not None) == operand,
                    "$gt": isinstance(value, type(operand)) and value > operand}.get(operator)
            if good is None:
                raise Refused(2, f"unknown operator: {operator}")
            if not good:
                return False
    return True


class Peer:
    def __init__(self, sock, user, password):
        self.sock, self.user, self.password, self.signed_in = sock, user, password, False

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def scram(self, command):
        said = command["payload"].decode()
        if "saslStart" in command:
            self.first = said.split(",", 2)[2]
            nonce, salt = dict(part.split("=", 1) for part in self.first.split(","))["r"], os.urandom(28)
            self.nonce = nonce + base64.b64encode(os.urandom(12)).decode()
            self.second = f"r={self.nonce},s={base64.b64encode(salt).decode()},i={ITERATIONS}"
            self.salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt, ITERATIONS)
            return {"conversationId": 1, "done": False, "payload": self.second.encode()}
        if not said:
            return {"conversationId": 1, "done": True, "payload": b""}
        def sign(key, text):
            return hmac.new(key, text.encode(), hashlib.sha256).digest()
        bare, proof = said.rsplit(",p=", 1)
        everything, key = f"{self.first},{self.second},{bare}", sign(self.salted, "Client Key")
        expected = bytes(a ^ b for a, b in zip(key, sign(hashlib.sha256(key).digest(), everything)))
        if base64.b64decode(proof) != expected or f"n={self.user}," not in self.first:
            raise Refused(18, "Authentication failed.")
        self.signed_in = True
        signature = base64.b64encode(sign(sign(self.salted, "Server Key"), everything)).decode()
        return {"conversationId": 1, "done": True, "payload": f"v={signature}".encode()}

    def count(self, command):
        if command["aggregate"] == "secrets":
            raise Refused(13, "not authorized on jobs to execute command")
        (match, group) = command["pipeline"]
        assert list(match) == ["$match"] and group["$group"]["n"] == {"$sum": 1} and command["maxTimeMS"] > 0, command
        found = [one for one in DOCUMENTS.get((command["$db"], command["aggregate"]), []) if fits(one, match["$match"])]
        batch = [{"_id": 1, "n": len(found)}] if found else []
        return {"cursor": {"id": 0, "ns": f"{command['$db']}.{command['aggregate']}", "firstBatch": batch}}

    def answer(self, command):
        word = next(iter(command))
        if word.lower() in ("hello", "ismaster"):
            return {"ismaster": True, "isWritablePrimary": True, "helloOk": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000,
                    "maxWriteBatchSize": 100000, "minWireVersion": 0, "maxWireVersion": 13, "readOnly": False,
                    "saslSupportedMechs": ["SCRAM-SHA-256"]}
        if word in ("saslStart", "saslContinue"):
            return self.scram(command)
        if word in ("ping", "endSessions", "killCursors"):
            return {}
        if not self.signed_in:
            raise Refused(13, f"command {word} requires authentication")
        if word == "aggregate":
            return self.count(command)
        raise Refused(59, f"no such command: '{word}'")

    def serve(self):
        while True:
            size, number, _, kind = struct.unpack("<iiii", self.exactly(16))
            body = self.exactly(size - 16)
            legacy = kind == 2004
            command = decode(body, body.index(0, 4) + 9) if legacy else decode(body, 5)
            try:
                said = {**self.answer(command), "ok": 1.0}
            except Refused as why:
                said = {"ok": 0.0, "errmsg": why.args[1], "code": why.args[0], "codeName": "Error"}
            out = struct.pack("<iqii", 8, 0, 0, 1) + encode(said) if legacy else struct.pack("<iB", 0, 0) + encode(said)
            self.sock.sendall(struct.pack("<iiii", len(out) + 16, 1, number, 1 if legacy else 2013) + out)


def serve(sock, user, password, context):
    try:
        with context.wrap_socket(sock, server_side=True) if context else sock as wrapped:
            Peer(wrapped, user, password).serve()
    except (OSError, ValueError, struct.error):
        pass


def main(port, user, password, certificate=None, key=None, ca=None):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock, user, password, context), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
