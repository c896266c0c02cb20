"""NSQ: nsqlookupd and two nsqd that report to it. nsq.publish("orders", 3), nsq.create("orders", "worker"), nsq.lookup (host:port)"""
import urllib.request

import pytest

from install import go
from server import Server, free_ports

MODULE = "github.com/nsqio/nsq"
PROGRAMS = [f"{MODULE}/apps/{name}" for name in ("nsqlookupd", "nsqd")]
REPLACED = {"github.com/judwhite/go-svc": "github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6"}


class Nsq:
    def __init__(self, place):
        programs = go("nsq", PROGRAMS, {MODULE: "v1.3.0"}, REPLACED)
        tcp, http = free_ports(2)
        self.lookup = f"127.0.0.1:{http}"
        self.lookupd = Server(place("nsqlookupd"), "nsqlookupd", [
            programs / "nsqlookupd", "-tcp-address", f"127.0.0.1:{tcp}", "-http-address", self.lookup, "-broadcast-address", "127.0.0.1"],
            ready=f"http://{self.lookup}/ping")
        self.nsqds, self.pages = [], []
        for n in range(2):
            own, page = free_ports(2)
            folder = place(f"nsqd-{n}")
            self.pages.append(f"http://127.0.0.1:{page}")
            self.nsqds.append(Server(folder, f"nsqd-{n}", [
                programs / "nsqd", "-tcp-address", f"127.0.0.1:{own}", "-http-address", f"127.0.0.1:{page}", "-broadcast-address", "127.0.0.1",
                "-lookupd-tcp-address", f"127.0.0.1:{tcp}", "-data-path", folder], ready=f"http://127.0.0.1:{page}/ping"))

    def post(self, page, path, body=b""):
        urllib.request.urlopen(urllib.request.Request(page + path, body, method="POST"), timeout=5).close()

    def publish(self, topic, count, nsqd=0):
        for _ in range(count):
            self.post(self.pages[nsqd], f"/pub?topic={topic}", b"x")

    def create(self, topic, channel, nsqd=0):
        self.post(self.pages[nsqd], f"/topic/create?topic={topic}")
        self.post(self.pages[nsqd], f"/channel/create?topic={topic}&channel={channel}")

    def pause(self, topic, channel, nsqd=0):
        self.post(self.pages[nsqd], f"/channel/pause?topic={topic}&channel={channel}")

    def start(self):
        for server in (self.lookupd, *self.nsqds):
            server.start()
        return self

    def stop(self):
        for server in (*self.nsqds, self.lookupd):
            server.stop()


@pytest.fixture(scope="module")
def nsq(place):
    server = Nsq(place)
    try:
        yield server.start()
    finally:
        server.stop()
