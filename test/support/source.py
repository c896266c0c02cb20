"""A metric source of the tests' own: an HTTP server whose answer a test sets."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Source:
    """Says what it is told: a number at /value (JSON), or anything else, late or never. At /metrics the same number as Prometheus
    text, named value. port: where it is looked for, if that is written down somewhere."""

    def __init__(self, port=0):
        self.value, self.status, self.body, self.hang, self.headers = 0, 200, None, False, []
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests += 1
                outer.headers.append(dict(self.headers))
                if outer.hang:
                    time.sleep(3600)
                body = outer.answer(self.path)
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        self.url = self.root + "/value"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path):
        if self.body is not None:
            return self.body
        if path.startswith("/metrics"):
            return f"# TYPE value gauge\nvalue {self.value}\n".encode()
        return json.dumps({"value": self.value}).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
