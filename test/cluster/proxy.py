"""A bad way to the API server: a proxy of one user that refuses, delays, truncates, cuts and swallows as a test tells it.

    proxy.fault = lambda method, path: Fault(status=429, headers={"Retry-After": "1"}) if "/scale" in path else None
    proxy.open.clear()      # nothing goes through any more, and nobody is told; set() and it goes on
    proxy.cut()             # everything under way ends in the middle, watches too
    proxy.seen              # (method, path) of every request, in order

It ends TLS and asks the API server itself, with the user's certificate; who comes in by it need show none.
"""
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pki

PASSED = ("content-type", "content-encoding", "content-length", "retry-after", "audit-id", "warning")


@dataclass
class Fault:
    """Of one request: first the delay, then an answer of its own (status) or the real one, cut after so many bytes."""
    delay_s: float = 0
    status: int = 0  # 0: the API server's answer
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    cut_after: int = -1  # bytes of the body; the connection ends there. 0: no answer at all


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.outer.sockets.add(self.connection)

    def finish(self):
        self.server.outer.sockets.discard(self.connection)
        super().finish()

    def log_message(self, *_):
        pass

    def drop(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def say(self, fault):
        self.send_response(fault.status)
        for name, value in {"Content-Length": str(len(fault.body)), **fault.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(fault.body)

    def pass_on(self, answer, cut_after):
        """The body as it comes, so that a watch is one; in chunks where the API server did not say its length."""
        chunked = answer.getheader("Content-Length") is None
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in PASSED:
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        passed = 0
        while data := answer.read1(65536):
            self.server.outer.open.wait()
            if 0 <= cut_after < passed + len(data):
                data = data[:cut_after - passed]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked and data else data)
            passed += len(data)
            if passed == cut_after:
                return self.drop()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def ask(self, body, fault):
        outer = self.server.outer
        upstream = http.client.HTTPSConnection(outer.address.hostname, outer.address.port, context=outer.upstream)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            upstream.request(self.command, self.path, body, headers)
            self.pass_on(upstream.getresponse(), fault.cut_after)
        finally:
            upstream.close()

    def handle_one(self):
        outer = self.server.outer
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        outer.seen.append((self.command, self.path))
        fault = (outer.fault and outer.fault(self.command, self.path)) or Fault()
        time.sleep(fault.delay_s)
        outer.open.wait()
        if fault.cut_after == 0:
            return self.drop()
        if fault.status:
            return self.say(fault)
        try:
            self.ask(body, fault)
        except (OSError, http.client.HTTPException):
            self.drop()  # one of the two is gone: so is the other

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # connections that break are what it is for


class Proxy:
    def __init__(self, plane, user="weir-a"):
        self.fault, self.seen, self.sockets = None, [], set()
        self.open = threading.Event()
        self.open.set()
        self.address = urlsplit(plane.server)
        authority, certificate, key = plane.identity(user)
        self.upstream = ssl.create_default_context(cafile=str(authority))
        self.upstream.load_cert_chain(str(certificate), str(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(plane.pki / "apiserver.crt"), str(plane.pki / "apiserver.key"))
        self.server = Server(("127.0.0.1", 0), Handler)
        # The handshake is for the thread of the connection, not for the one that accepts.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.outer = self
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        self.kubeconfig = pki.write_kubeconfig(plane.pki, user, self.url, f"{user}-by-{self.server.server_port}")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def cut(self):
        for connection in list(self.sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.open.set()
        self.cut()
