"""A small JSON service on the loopback address, and questions to one: what the three programs of this example share."""
import json
import signal
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(port, get, put):
    """get and put: path -> function; get's answers, put takes the decoded body and answers. Until SIGTERM."""

    class Handler(BaseHTTPRequestHandler):
        def reply(self, status, value):
            body = (json.dumps(value) + "\n").encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path in get:
                self.reply(200, get[self.path]())
            else:
                self.reply(404, {"error": "there is: " + " ".join(get)})

        def do_PUT(self):
            if self.path not in put:
                self.reply(404, {"error": "what can be put: " + " ".join(put)})
                return
            try:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                answer = put[self.path](body)
            except (ValueError, TypeError, KeyError) as e:
                self.reply(400, {"error": str(e)})
                return
            self.reply(200, answer)

        def log_message(self, *_):
            pass

    def stop(*_):
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    ThreadingHTTPServer.allow_reuse_address = True
    ThreadingHTTPServer.daemon_threads = True
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.serve_forever()


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def put(url, value):
    request = urllib.request.Request(url, json.dumps(value).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)
