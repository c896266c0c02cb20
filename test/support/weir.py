"""A running weir, wherever its objects come from: started with a data folder of its own, asked through its Unix socket."""
import http.client
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

from support.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
WEIR = BUILD / "weir"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("weir", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Running:
    """weir run with the arguments that say where its objects are; folder/data and folder/log are its own."""

    def __init__(self, folder, *arguments, under=()):
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.arguments = arguments
        self.under = under  # words of a command that runs it: ("ip", "netns", "exec", "far")
        self.listen = "none"  # or HOST:PORT, beside its socket
        self.process = None

    def spawn(self):
        """Begins to start it; it may be killed before it is up."""
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen([*self.under, str(WEIR), "run", *map(str, self.arguments), "--data-dir", str(self.data),
                                             "--listen", self.listen], stderr=log)
        return self

    def start(self):
        self.spawn()
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

    def object(self, name="app", namespace="default"):
        text = self.get(f"/api/v1/objects/{namespace}/{name}")
        return json.loads(text) if text.startswith("{") else {}

    def cli(self, *arguments):
        return subprocess.run([str(WEIR), *arguments, "--data-dir", str(self.data)], capture_output=True, text=True, check=False)

    def stop(self, limit_s=20):
        """One that crashed is an error, even where the test has seen nothing of it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        if self.process and self.process.returncode in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE):
            died, self.process = signal.Signals(-self.process.returncode).name, None
            raise RuntimeError(f"weir died of {died}:\n{self.log_text()[-2000:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()
