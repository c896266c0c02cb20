"""ActiveMQ Artemis with its console, which has Jolokia: artemis.fill(3) puts messages into the queue `orders`."""
import subprocess

import pytest

from install import maven_file, unpacked
from server import Server, answers, free_ports

ARCHIVE = "org.apache.activemq:apache-artemis:2.40.0:tar.gz:bin"


class Artemis(Server):
    def __init__(self, folder):
        self.home = unpacked("artemis", maven_file(ARCHIVE))
        page, port = free_ports(2)
        self.endpoint, self.url = f"127.0.0.1:{page}", f"tcp://127.0.0.1:{port}"
        self.instance = folder / "broker"
        self.run(self.home / "bin" / "artemis", "create", self.instance, "--user", "admin", "--password", "pw", "--require-login",
                 "--host", "127.0.0.1", "--http-host", "127.0.0.1", "--http-port", page, "--default-port", port, "--no-amqp-acceptor",
                 "--no-hornetq-acceptor", "--no-mqtt-acceptor", "--no-stomp-acceptor", "--queues", "orders:anycast", "--silent")
        profile = self.instance / "etc" / "artemis.profile"
        profile.write_text(profile.read_text().replace("-Xms512M", "-Xms64M").replace("-Xmx2G", "-Xmx256M"))
        super().__init__(folder, "artemis", [self.instance / "bin" / "artemis", "run"],
                         lambda: answers(f"http://{self.endpoint}/console/jolokia/version"), ready_s=120, limit_s=20)

    @staticmethod
    def run(*words):
        subprocess.run(list(map(str, words)), check=True, capture_output=True)

    def fill(self, count):
        self.run(self.instance / "bin" / "artemis", "producer", "--url", self.url, "--user", "admin", "--password", "pw", "--destination",
                 "queue://orders", "--message-count", count, "--silent")


@pytest.fixture(scope="module")
def artemis(place):
    with Artemis(place("artemis")) as server:
        yield server
