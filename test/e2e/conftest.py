"""End to end: real binaries, real processes, real servers on loopback. Nothing here is timed; waits are generous and end early."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
WEIR = BUILD / "weir"


def wait_for(what, limit_s=30, every_s=0.1):
    """Calls what() until it gives something true; its last answer is in the failure."""
    end = time.monotonic() + limit_s
    while True:
        last = what()
        if last:
            return last
        if time.monotonic() > end:
            raise AssertionError(f"still {last!r} after {limit_s} s")
        time.sleep(every_s)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Source:
    """An HTTP source that says what it is told: a number at /value (JSON), or anything else, late or never."""

    def __init__(self):
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
                body = outer.body if outer.body is not None else json.dumps({"value": outer.value}).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/value"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("weir", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Weir:
    """A weir run of one folder of manifests."""

    def __init__(self, folder, *options):
        self.folder = Path(folder)
        self.manifests = self.folder / "manifests"
        self.manifests.mkdir(exist_ok=True)
        self.data = self.folder / "data"
        self.options = options
        self.process = None

    def write(self, name, text):
        path = self.manifests / name
        partial = self.folder / (name + ".new")
        partial.write_text(text)
        partial.rename(path)

    def start(self):
        self.log = open(self.folder / "log", "a")
        self.process = subprocess.Popen([str(WEIR), "run", str(self.manifests), "--data-dir", str(self.data), "--listen", "none",
                                         *self.options], stderr=self.log)
        wait_for(lambda: self.process.poll() is not None or self.get("/healthz") == "ok\n")
        assert self.process.poll() is None, self.log_text()
        return self

    def log_text(self):
        return (self.folder / "log").read_text()

    def get(self, path):
        """What Weir answers there, "" while it does not."""
        connection = UnixConnection(self.data / "weir.sock")
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def object(self, name="app"):
        text = self.get(f"/api/v1/objects/default/{name}")
        return json.loads(text) if text.startswith("{") else {}

    def ready(self, name="app"):
        return self.object(name).get("readyReplicas", -1)

    def wait_ready(self, count, name="app", limit_s=30):
        try:
            wait_for(lambda: self.ready(name) == count, limit_s)
        except AssertionError as err:
            raise AssertionError(f"{err}\n{json.dumps(self.object(name), indent=1)}\n{self.log_text()[-3000:]}") from None

    def cli(self, *arguments):
        return subprocess.run([str(WEIR), *arguments, "--data-dir", str(self.data)], capture_output=True, text=True, check=False)

    def stop(self, limit_s=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pids(self, name="app"):
        """Main processes of the replicas, as the shims wrote them down."""
        found = {}
        for path in self.data.glob(f"local/default/*.{name}/*/process"):
            found[path.parent.name] = path.read_text().split()
        return found


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: main
        image: example
        command: [sleep, "100000"]
---
"""


def scaled_object(url, name="app", annotations="", target="10", spec="", trigger=None):
    return f"""apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {name}
  annotations: {{weir.dev/polling-interval: 200ms{annotations}}}
spec:
  scaleTargetRef: {{name: {name}}}
  minReplicaCount: 0
  maxReplicaCount: 5
  cooldownPeriod: 2
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {{scaleDown: {{stabilizationWindowSeconds: 1}}}}
{spec}
  triggers:
""" + (trigger or f"""  - type: metrics-api
    name: load
    metadata: {{url: "{url}", valueLocation: value, targetValue: "{target}"}}
""")


def manifest(url, replicas=1, **more):
    return DEPLOYMENT.format(name=more.get("name", "app"), replicas=replicas) + scaled_object(url, **more)


@pytest.fixture
def source():
    s = Source()
    yield s
    s.close()


@pytest.fixture
def weir(tmp_path):
    made = []

    def make(*options):
        made.append(Weir(tmp_path, *options))
        return made[-1]

    yield make
    for w in made:
        if w.process and w.process.poll() is not None:
            w.start()  # so that replicas left behind are adopted and stopped
        w.stop()


def program(name):
    """A server's program, or a loud skip: tools/deps installs them all."""
    found = shutil.which(name) or shutil.which(name, path="/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin")
    if not found:
        pytest.skip(f"{name} is not installed (make deps installs it)")
    return found
