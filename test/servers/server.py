"""A real server for tests: started on loopback, asked whether it is well, stopped, paused, killed and brought back by its process id.

    class Redis(Server):
        def __init__(self, folder, password="pw"):
            self.port, self.password = free_port(), password
            super().__init__(folder, "redis", ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--save", "",
                                               "--requirepass", password], ready=self.port)

    with Redis(place("redis")) as redis: ...  # started and well; stopped at the end, with everything it started itself
    redis.restart(); redis.pause(); redis.resume(); redis.stop(); redis.start(); redis.kill()

A fixture is a few lines in test/servers/<server>_server.py, and a test takes it by importing its name:

    @pytest.fixture(scope="session")          # test files that import it share one server: `servers` (conftest.py) keeps it
    def redis(servers):
        return servers.once(Redis)

    @pytest.fixture(scope="module")           # a JVM: gone when the file is done
    def kafka(place, pki):                    # place(name): a new folder, which other users may enter, too
        with Kafka(place("kafka"), pki) as server:
            yield server

Start them in the main thread (the kernel ends them when the thread that started them ends). On failure of a test the last lines of the
logs of all running servers are shown. Where the programs come from: install.py.
"""
import os
import random
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from cluster.process import Program  # noqa: E402
from support.waiting import wait_for  # noqa: E402,F401 (tests take it from here)

# Below the ports of outgoing connections: while a server is away nobody gets its port, and no client connects to itself. Low
# enough that PORT+10000 (the bus of a Redis Cluster) is there, too.
PORTS = (10000, 22000)
given = set()


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(beside=()):
    """A port of 127.0.0.1 that nobody has and that is given once; beside: offsets that must be free as well, as 10000."""
    while True:
        wanted = random.randrange(*PORTS)
        all_of_them = {wanted, *(wanted + offset for offset in beside)}
        if not all_of_them & given and all(map(is_free, all_of_them)):
            given.update(all_of_them)
            return wanted


def free_ports(count):
    return [free_port() for _ in range(count)]


def listens(port):
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False


def answers(url, below=500):
    """Whether HTTP is spoken there, with a status that is not one of trouble."""
    try:
        return urllib.request.urlopen(url, timeout=5).status < below
    except urllib.error.HTTPError as err:
        return err.code < below
    except (OSError, ValueError):
        return False


class Server:
    """command: words; it must stay in the foreground. ready: a port, a URL, or a function that says whether it is well. env: added
    to ours. user: whom it runs as, if we are root (the folder is made theirs). At the end it has limit_s from SIGTERM to be gone."""

    running = []  # of this process, for whoever wants to show their logs

    def __init__(self, folder, name, command, ready, *, env=None, user=None, ready_s=60, limit_s=10):
        self.folder, self.name = Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.command, self.env, self.user = [str(word) for word in command], dict(env or {}), user
        self.check, self.ready_s, self.limit_s = ready, ready_s, limit_s
        self.program = None

    def words(self):
        variables = [f"{name}={value}" for name, value in self.env.items()]
        # An empty JAVA_TOOL_OPTIONS already makes every JVM talk on stderr.
        words = ["env", "-C", str(self.folder), "-u", "JAVA_TOOL_OPTIONS", *variables]
        if self.user and os.geteuid() == 0:
            # Said again: the kernel forgets it where the user changes.
            words += ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", "--pdeathsig", "KILL", "--"]
        return words + self.command

    def well(self):
        if callable(self.check):
            return self.check()
        return answers(self.check) if isinstance(self.check, str) else listens(self.check)

    def prepare(self):
        """Before each start; for subclasses: what the server changes in its configuration is written anew here."""

    def start(self):
        self.prepare()
        if self.user and os.geteuid() == 0:
            shutil.chown(self.folder, self.user, self.user)
        self.program = Program(self.folder, self.name, self.words()).start()
        Server.running.append(self)
        try:
            wait_for(lambda: not self.program.pid or self.well(), self.ready_s, 0.05)
            alive = self.program.pid
        except AssertionError:
            self.stop()
            raise RuntimeError(f"{self.name} is not well after {self.ready_s} s:\n{self.last_words()}") from None
        if not alive:
            self.stop()
            raise RuntimeError(f"{self.name} ended:\n{self.last_words()}")
        self.furnish()
        return self

    def furnish(self):
        """After each start; for subclasses: users, queues and the like that every test finds there."""

    @property
    def pid(self):
        return self.program.pid if self.program else None

    def group(self, number):
        """To it and all that it started: they are a process group of their own."""
        try:
            if self.program:
                os.killpg(self.program.process.pid, number)
        except ProcessLookupError:
            pass

    def stop(self):
        """Asked to end, then made to."""
        if self.program is None:
            return
        self.resume()
        self.program.send(signal.SIGTERM)
        end = time.monotonic() + self.limit_s
        while self.program.pid and time.monotonic() < end:
            time.sleep(0.02)
        self.kill()

    def kill(self):
        """At once: connections end in the middle, nothing is written any more."""
        if self.program is None:
            return
        self.group(signal.SIGKILL)
        self.program.kill()
        if self in Server.running:
            Server.running.remove(self)
        self.program = None

    def restart(self):
        self.stop()
        return self.start()

    def pause(self):
        """It stops answering; connections stay open and new ones are taken by the kernel."""
        self.group(signal.SIGSTOP)

    def resume(self):
        self.group(signal.SIGCONT)

    @property
    def log(self):
        return self.folder / f"{self.name}.log"

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def last_words(self, lines=25):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def rss_bytes(self):
        """Of the main process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def java(libraries, main, *arguments, heap_mb=256, options=()):
    """The words that run a class (or a single .java file) with all jars of a folder; small and quick to start rather than fast."""
    return ["java", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", *options, "-cp",
            f"{libraries}/*", main, *arguments]
