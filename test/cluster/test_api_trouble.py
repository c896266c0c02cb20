"""The way to the API server is bad, or it is away: nothing wrong is written, it is not stormed, and what was held back is done within
one polling period once it can be. The audit log and the proxy are witnesses (witness.py)."""
import ctypes
import os
import socket
import subprocess
import threading
import time
from collections import Counter

import pytest

import pki
from namespace import Namespace, deployment
from proxy import Fault
from support.waiting import wait_for
from witness import Ledger, follower, lists_of, scale_writes, unexplained

POLL_S = 1
PERIOD_S = POLL_S + 2  # and what a busy machine takes
SYN_GAP_S = 4  # between two attempts of the kernel to connect, where nobody says no
NAMES = ("one", "two", "three")


class Followed:
    """Three Deployments that follow a value, on some control plane."""

    def __init__(self, plane, namespace, ledger=None):
        self.plane, self.namespace, self.mark = plane, namespace, plane.audit_mark()
        self.ledger = ledger or Ledger()
        self.asks(2)
        for name in NAMES:
            namespace.create("deployments", deployment(name, 1))
            namespace.create("scaledobjects", follower(name, self.ledger, POLL_S))

    def asks(self, value):
        for name in NAMES:
            self.ledger.values[name] = value

    def stand_at(self, value):
        return all(self.namespace.replicas(name) == value for name in NAMES)

    def follows(self, value, limit_s=PERIOD_S):
        self.asks(value)
        wait_for(lambda: self.stand_at(value), limit_s, 0.05)

    def nothing_wrong(self):
        writes = scale_writes(self.plane, self.mark, namespace=self.namespace.name)
        assert writes and unexplained(writes, self.ledger) == []


@pytest.fixture
def followed(plane, namespace):
    made = Followed(plane, namespace)
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def frail(tmp_path_factory):
    """A control plane whose API server is there to be harmed."""
    from plane import Plane
    with Plane(tmp_path_factory.mktemp("frail"), metrics=False) as running:
        yield running


@pytest.fixture
def frail_followed(frail, request):
    made = Followed(frail, Namespace(frail, request.node.name.replace("_", "-")[:60]))
    yield made
    made.ledger.close()
    made.namespace.gone()


def test_api_server_killed(frail, frail_followed, weir):
    """K1. Polls go on, nobody is told to restart, and what the last values ask for is written when it is back."""
    f = frail_followed
    w = weir(on=frail)
    f.follows(4, 15)
    polls = f.ledger.requests
    mark = frail.audit_mark()
    frail.programs["kube-apiserver"].kill()
    for value in (8, 3, 16):
        f.asks(value)
        time.sleep(POLL_S)
    assert f.ledger.requests > polls + 2 * len(NAMES), "decisions stopped while the API server was away"
    assert w.process.poll() is None
    frail.programs["kube-apiserver"].start()
    wait_for(frail.ready, 60, 0.05)
    wait_for(lambda: f.stand_at(16), PERIOD_S, 0.05)
    f.nothing_wrong()
    assert all(count <= 2 for count in lists_of(frail, mark).values()), lists_of(frail, mark)
    f.follows(5)


def test_api_server_paused(frail, frail_followed, weir):
    """It accepts connections and does not answer; nothing is asked in haste."""
    f = frail_followed
    w = weir(on=frail)
    f.follows(4, 15)
    mark = frail.audit_mark()
    frail.programs["kube-apiserver"].pause()
    try:
        for value in (8, 3, 16):
            f.asks(value)
            time.sleep(2.5)
        assert w.process.poll() is None and w.get("/healthz") == "ok\n"
    finally:
        frail.programs["kube-apiserver"].resume()
    wait_for(frail.ready, 60, 0.05)
    wait_for(lambda: f.stand_at(16), PERIOD_S, 0.05)
    asked = [e for e in frail.audit(mark, user="weir-a", verb="patch") if e["objectRef"].get("subresource") == "scale"]
    assert len(asked) <= 6 * len(NAMES)
    assert all(count <= 2 for count in lists_of(frail, mark).values()), lists_of(frail, mark)
    f.follows(5)
    # What lay in the server's own buffers when it was paused is served when it goes on, late, and nobody can take it back: at most the
    # one write of each object that was under way then; what counts now follows at once.
    late = unexplained(scale_writes(frail, f.mark, namespace=f.namespace.name), f.ledger)
    assert len(late) <= len(NAMES) and all("4 -> 8" in text for text in late), late


def kinds(seen):
    """Requests by what they are: watches, lists, scales, others."""
    counts = Counter()
    for method, path in seen:
        counts["watch" if "watch=" in path else "scale" if path.split("?")[0].endswith("/scale") else "list" if method == "GET" and "limit=" in path
               else "other"] += 1
    return counts


def no_lists(way, quiet_s=1):
    """Lists of what other tests have just left behind are over."""
    seen = len(way.seen)
    time.sleep(quiet_s)
    return kinds(way.seen[seen:])["list"] == 0


def test_429(followed, weir, bad_way):
    """K2. Everything is refused for a while: nothing is asked more often than Retry-After says, and no list is made of it."""
    way = bad_way()
    weir(kubeconfig=way.kubeconfig)
    followed.follows(4, 15)
    wait_for(lambda: no_lists(way))
    way.fault = lambda *_: Fault(status=429, headers={"Retry-After": "1"}, body=b'{"kind":"Status","code":429}')
    way.cut()
    seen = len(way.seen)
    followed.asks(16)
    time.sleep(6)
    asked = kinds(way.seen[seen:])
    assert asked["scale"] <= 7 * len(NAMES) and asked["list"] == 0 and asked["watch"] <= 40, asked
    way.fault = None
    wait_for(lambda: followed.stand_at(16), PERIOD_S, 0.05)
    followed.nothing_wrong()


def test_slow(followed, weir, bad_way):
    """Five seconds for every answer: a scale takes what the way takes, and nothing is asked twice for it."""
    way = bad_way()
    weir(kubeconfig=way.kubeconfig)
    followed.follows(4, 15)
    way.fault = lambda *_: Fault(delay_s=5)
    mark = followed.plane.audit_mark()
    followed.follows(16, 5 + PERIOD_S)
    time.sleep(5)
    writes = scale_writes(followed.plane, mark, namespace=followed.namespace.name)
    assert [w.replicas for w in writes] == [16] * len(NAMES)
    assert lists_of(followed.plane, mark) == {}
    followed.nothing_wrong()


def test_watches_closed(followed, weir, bad_way):
    """Cut again and again, they go on from where they were."""
    way = bad_way()
    weir(kubeconfig=way.kubeconfig)
    followed.follows(4, 15)
    mark = followed.plane.audit_mark()
    for turn in range(20):
        way.cut()
        followed.asks(4 + turn % 2 * 12)
        time.sleep(0.3)
    followed.follows(7, PERIOD_S)
    assert lists_of(followed.plane, mark) == {}
    followed.nothing_wrong()


def test_too_old(followed, weir, bad_way):
    """Every watch is answered with 410: lists come ever more slowly, and scaling goes on."""
    way = bad_way()
    weir(kubeconfig=way.kubeconfig)
    followed.follows(4, 15)
    seen = len(way.seen)
    way.fault = lambda _, path: Fault(status=410, body=b'{"kind":"Status","code":410,"reason":"Expired"}') if "watch=" in path else None
    way.cut()
    for value in (16, 3, 9):
        followed.follows(value, 3 * PERIOD_S)
    listed = Counter(path.split("?")[0] for method, path in way.seen[seen:] if method == "GET" and "watch=" not in path)
    assert max(listed.values()) <= 8, listed
    way.fault = None
    followed.follows(5, 35)
    followed.nothing_wrong()


@pytest.mark.parametrize("when", [Fault(cut_after=0), Fault(cut_after=10), Fault(status=503, body=b"<html>oops")],
                         ids=["never asked", "answer lost", "unavailable"])
def test_writes_that_fail(followed, weir, bad_way, when):
    """It may have landed or not: what stands is looked at, and what the value asks for now is written."""
    way = bad_way()
    weir(kubeconfig=way.kubeconfig)
    followed.follows(4, 15)
    way.fault = lambda _, path: when if "/scale" in path else None
    for value in (16, 3, 8):
        followed.asks(value)
        time.sleep(POLL_S)
    way.fault = None
    wait_for(lambda: followed.stand_at(8), 2 * PERIOD_S, 0.05)
    followed.nothing_wrong()


@pytest.mark.parametrize("body,said", [(b"<html><title>Portal</title>", "Portal"), (b'{"kind":"ScaledObjectList","items":[{"meta', "")],
                         ids=["html", "truncated"])
def test_lists_that_cannot_be_read(followed, weir, bad_way, body, said):
    """The message has the URL and the first bytes, once; it is tried again, ever more slowly."""
    way = bad_way()
    way.fault = lambda _, path: Fault(status=200, headers={"Content-Type": "text/html"}, body=body) if "/scaledobjects" in path else None
    w = weir(kubeconfig=way.kubeconfig)
    wait_for(lambda: "/apis/keda.sh/v1alpha1/scaledobjects" in w.log_text())
    time.sleep(3)
    told = [line for line in w.log_text().splitlines() if "scaledobjects" in line]
    assert said in told[0] and len(told) <= 2, told
    assert len([path for _, path in way.seen if "/scaledobjects" in path]) <= 6
    way.fault = None
    wait_for(lambda: followed.stand_at(2), 20)


# -- packets

CLONE_NEWNET = 0x40000000


class Cable:
    """Weir in a network namespace of its own, on a cable that can be pulled: then packets go nowhere, and nobody is told.

    Only root can make one. What it says to the API server comes out at our end of the cable, in a relay; its metrics are served
    inside."""

    def __init__(self, plane, name):
        self.name, self.ours, self.theirs = name, f"{name}-o", f"{name}-i"
        net = os.getpid() % 200 + 20
        self.address, self.inside = f"10.254.{net}.1", f"10.254.{net}.2"
        self.run("ip", "netns", "add", name)
        self.run("ip", "link", "add", self.ours, "type", "veth", "peer", "name", self.theirs, "netns", name)
        self.run("ip", "addr", "add", f"{self.address}/30", "dev", self.ours)
        self.run("ip", "link", "set", self.ours, "up")
        for command in (f"link set lo up|addr add {self.inside}/30 dev {self.theirs}|link set {self.theirs} up").split("|"):
            self.run("ip", "-n", name, *command.split())
        # Known for good: else a cable that is pulled would soon be noticed, for nobody answers where the other is.
        mac = open(f"/sys/class/net/{self.ours}/address").read().strip()
        self.run("ip", "-n", name, "neigh", "replace", self.address, "lladdr", mac, "dev", self.theirs, "nud", "permanent")
        self.relay = socket.create_server((self.address, 0))
        self.upstream = ("127.0.0.1", plane.ports["api"])
        threading.Thread(target=self.serve, daemon=True).start()
        self.kubeconfig = pki.write_kubeconfig(plane.pki, "weir-a", f"https://{self.address}:{self.relay.getsockname()[1]}",
                                               f"weir-a-{name}")
        text = self.kubeconfig.read_text()
        self.kubeconfig.write_text(text.replace("server: ", "tls-server-name: localhost, server: "))

    @staticmethod
    def run(*words):
        subprocess.run(words, check=True, capture_output=True)

    def serve(self):
        while True:
            try:
                connection = self.relay.accept()[0]
            except OSError:
                return
            other = socket.create_connection(self.upstream)
            for pair in ((connection, other), (other, connection)):
                threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    @staticmethod
    def pass_on(here, there):
        try:
            while data := here.recv(65536):
                there.sendall(data)
        except OSError:
            pass
        for end in (here, there):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def pulled(self):
        self.run("ip", "link", "set", self.ours, "down")

    def put_back(self):
        self.run("ip", "link", "set", self.ours, "up")

    def enter(self):
        """This thread is inside from now on; sockets stay where they were made."""
        with open(f"/run/netns/{self.name}") as inside:
            if ctypes.CDLL(None, use_errno=True).setns(inside.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def within(self, make):
        """What make() gives, made inside."""
        made = []

        def work():
            self.enter()
            made.append(make())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return made[0]

    def close(self):
        self.relay.close()
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


@pytest.fixture
def far(plane, namespace, weir, bad_way):
    """A Weir far away, and the two functions that make the way there lose everything and nothing. Where no network namespace can be
    made, a proxy that keeps connections and passes nothing on must do."""
    try:
        cable = Cable(plane, f"weir{os.getpid() % 100000}")
    except (OSError, subprocess.CalledProcessError):
        way, followed = bad_way(), Followed(plane, namespace)
        weir(kubeconfig=way.kubeconfig)
        yield followed, way.open.clear, way.open.set
        followed.ledger.close()
        return
    try:
        followed = Followed(plane, namespace, cable.within(Ledger))
        weir(kubeconfig=cable.kubeconfig, under=("ip", "netns", "exec", cable.name))
        yield followed, cable.pulled, cable.put_back
        followed.ledger.close()
    finally:
        cable.close()


def test_packets_dropped(plane, far):
    """K1: not refused, not reset: gone, for longer than a request may take; all the while values are polled and change."""
    f, drop, put_back = far
    f.follows(4, 15)
    mark = plane.audit_mark()
    drop()
    try:
        for value in (8, 3, 16):
            f.asks(value)
            time.sleep(6)
    finally:
        put_back()
    wait_for(lambda: f.stand_at(16), PERIOD_S + SYN_GAP_S, 0.05)
    f.follows(5)
    assert all(count <= 2 for count in lists_of(plane, mark).values()), lists_of(plane, mark)
    f.nothing_wrong()
