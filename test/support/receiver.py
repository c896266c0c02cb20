"""A receiver of what Weir sends by itself (CloudEvents, OTLP): a real HTTP server that keeps every request and can be down, slow or ill."""
import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, headers, body, time.time()


class Receiver:
    """answer(request) gives a status, or (status, headers, body); it may sleep. What was answered with 2xx is in `taken`, all of it in
    `asked`."""

    def __init__(self, port=0, answer=lambda request: 200):
        self.answer, self.asked, self.taken = answer, [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.asked.append(request)
                answer = receiver.answer(request)
                status, headers, reply = answer if isinstance(answer, tuple) else (answer, {}, b"")
                if 200 <= status < 300:
                    receiver.taken.append(request)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply)))
                    self.end_headers()
                    self.wfile.write(reply)
                except OSError:
                    pass  # whoever asked has given up

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.root = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
