"""The gRPC peer of grpc_peer.py as a server of the tests, and protocol buffers in a line: message((1, "text"), (2, 17), (3, 0.5))."""
import base64
import json
import struct
import urllib.request
from pathlib import Path

import pytest
from install import pip
from server import Server, answers, free_ports

EXTERNAL = "/externalscaler.ExternalScaler/"


def varint(value):
    value &= 2 ** 64 - 1
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*members):
    """Of (number, value): int and bool are varints, float is a double, text and bytes have a length."""
    out = b""
    for number, value in members:
        if isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(int(value))
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


class GrpcPeer(Server):
    """pki: None for a server without TLS."""

    def __init__(self, folder, pki=None):
        self.port, self.tls_port, self.control = free_ports(3)
        python = pip("grpc", "grpcio==1.85.3")
        files = [pki.path(name) for name in ("server.key", "server.crt", "ca.crt")] if pki else []
        super().__init__(folder, "grpc-peer", [python, Path(__file__).parent / "grpc_peer.py", self.port, self.tls_port, self.control, *files],
                         ready=lambda: answers(f"http://127.0.0.1:{self.control}/seen"))
        self.address, self.tls_address = f"127.0.0.1:{self.port}", f"localhost:{self.tls_port}"

    def tell(self, what, method, body=b"", **more):
        data = json.dumps({"method": method, "message": base64.b64encode(body).decode(), **more}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.control}/{what}", data=data, timeout=10).read()

    def answer(self, method, body):
        self.tell("answer", method, body)

    def refuse(self, method, status, details=""):
        self.tell("refuse", method, status=status, details=details)

    def push(self, method, body, to=""):
        self.tell("push", method, body, to=to)

    def end(self, method, status="OK"):
        self.tell("end", method, status=status)

    def seen(self):
        said = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{self.control}/seen", timeout=10).read())
        for call in said["calls"]:
            call["message"] = base64.b64decode(call["message"])
        return said

    def scaler(self, value, target=5.0, active=True, metric="jobs"):
        """What an external scaler says, of one metric."""
        self.answer(EXTERNAL + "GetMetricSpec", message((1, message((1, metric), (3, float(target))))))
        self.answer(EXTERNAL + "GetMetrics", message((1, message((1, metric), (3, float(value))))))
        self.answer(EXTERNAL + "IsActive", message((1, active)) if active else b"")


@pytest.fixture(scope="module")
def peer(place, pki):
    with GrpcPeer(place("grpc"), pki) as server:
        yield server
