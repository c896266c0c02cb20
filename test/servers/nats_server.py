"""NATS with JetStream, alone or as a cluster of three; asked over its own protocol by a few lines of socket.

    nats.stream("ORDERS", "orders.*"); nats.consumer("ORDERS", "worker"); nats.publish("orders.new", 5); nats.take("ORDERS", "worker", 2)
    nats.monitor            # host:port of the monitoring page
    cluster.nodes[0].kill()

What is asked of a cluster goes through cluster.insist(): streams, consumers and the cluster itself each elect a leader of their own, and
until then a question is answered with an error, or by nobody.
"""
import http.client
import json
import socket
import urllib.request
import uuid
from contextlib import contextmanager

import pytest

from install import apt
from server import Server, answers, free_port, free_ports, wait_for

CONFIG = """server_name: {name}
listen: "{host}:{port}"
http: "{host}:{monitor}"
jetstream {{ store_dir: "{folder}/store", max_memory_store: 64MB, max_file_store: 256MB }}
{cluster}
"""


class Nats(Server):
    def __init__(self, folder, name="alone", host="127.0.0.1", port=None, monitor=None, cluster=""):
        apt("nats-server")
        self.host, self.port, self.monitor_port, self.cluster = host, port or free_port(), monitor or free_port(), cluster
        self.server_name = name
        self.monitor = f"{host}:{self.monitor_port}"
        super().__init__(folder, "nats", ["nats-server", "-c", f"{folder}/nats.conf"], ready=f"http://{self.monitor}/healthz")

    def prepare(self):
        (self.folder / "nats.conf").write_text(CONFIG.format(
            name=self.server_name, host=self.host, port=self.port, monitor=self.monitor_port, folder=self.folder, cluster=self.cluster))

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.monitor}{path}", timeout=5) as answer:
            return json.loads(answer.read())

    def told(self, path):
        """The same of one that may be coming or going: {} where it does not answer."""
        try:
            return self.get(path)
        except (OSError, ValueError, http.client.HTTPException):
            return {}

    @contextmanager
    def talk(self):
        with socket.create_connection((self.host, self.port), timeout=10) as s, s.makefile("rwb") as stream:
            stream.readline()
            stream.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB inbox 1\r\n')
            yield stream

    @staticmethod
    def say(stream, subject, body, name=None):
        """name: of the message; one that is said twice counts once."""
        head = b"NATS/1.0\r\nNats-Msg-Id: %s\r\n\r\n" % name.encode() if name else b""
        sizes = b"%d %d" % (len(head), len(head + body)) if name else b"%d" % len(body)
        stream.write(b"%s %s inbox %s\r\n%s%s\r\n" % (b"HPUB" if name else b"PUB", subject.encode(), sizes, head, body))
        stream.flush()

    def heard(self, stream):
        """The body of the next message."""
        while True:
            line = stream.readline()
            if line.startswith((b"MSG", b"HMSG")):
                words = line.split()
                message = stream.read(int(words[-1]) + 2)
                return message[int(words[-2]):] if line.startswith(b"HMSG") else message
            if line.startswith(b"PING"):
                stream.write(b"PONG\r\n")
                stream.flush()
            if not line:
                raise ConnectionError("NATS hung up")

    def request(self, subject, body, name=None):
        with self.talk() as stream:
            self.say(stream, subject, json.dumps(body).encode(), name)
            answer = json.loads(self.heard(stream))  # empty where nobody listens there
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def stream(self, name, subjects, replicas=1):
        self.request(f"$JS.API.STREAM.CREATE.{name}", {"name": name, "subjects": [subjects], "num_replicas": replicas})

    def consumer(self, stream, name):
        return self.request(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}", {
            "stream_name": stream, "config": {"durable_name": name, "ack_policy": "explicit", "deliver_policy": "all", "ack_wait": 600 * 10**9}})

    def delete(self, stream):
        self.request(f"$JS.API.STREAM.DELETE.{stream}", {})

    def publish(self, subject, count=1, name=None):
        """The stream has them. name: of what is one message however often it is published."""
        for number in range(count):
            self.request(subject, "x", name and f"{name}-{number}")

    def take(self, stream, consumer, count):
        """Delivered, and not acknowledged."""
        with self.talk() as connection:
            self.say(connection, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", str(count).encode())
            for _ in range(count):
                self.heard(connection)


class NatsCluster:
    """Three on loopback addresses of their own: they tell each other's addresses without the monitoring port, which is the same on all."""

    def __init__(self, place):
        hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        port, monitor, routes = free_ports(3)
        listed = ", ".join(f'"nats://{host}:{routes}"' for host in hosts)
        self.nodes = [Nats(place(f"nats-{n}"), f"n{n}", host, port, monitor,
                           f'cluster {{ name: c, listen: "{host}:{routes}", routes: [{listed}] }}') for n, host in enumerate(hosts)]

    def together(self):
        """Each is well, knows who leads, and where the others are."""
        return all(answers(f"http://{node.monitor}/healthz") and node.told("/jsz").get("meta_cluster", {}).get("leader")
                   and len(node.told("/varz").get("connect_urls") or []) == len(self.nodes) for node in self.nodes)

    def start(self):
        for node in self.nodes:
            node.check = lambda: True  # they are well together, or not at all
            node.start()
        wait_for(self.together, 60)
        return self

    @staticmethod
    def insist(ask, limit_s=60):
        """ask(): done anew until it is answered; it must do no harm to do it twice."""
        def done():
            try:
                ask()
                return True
            except (OSError, ValueError, RuntimeError) as err:
                why.append(err)
                return False

        why = []
        try:
            wait_for(done, limit_s)
        except AssertionError:
            raise AssertionError(f"not done after {limit_s} s: {why[-1]!r}") from why[-1]

    def publish(self, subject, count=1):
        """By any that is there; once, although it is tried again."""
        name = str(uuid.uuid4())
        self.insist(lambda: next(node for node in self.nodes if node.pid).publish(subject, count, name))

    def leader(self, stream, consumer):
        for node in self.nodes:
            if not node.pid:
                continue
            for account in node.told("/jsz?acc=%24G&consumers=true&streams=true").get("account_details") or []:
                for one in account.get("stream_detail") or []:
                    for each in one.get("consumer_detail") or []:
                        if (one["name"], each["name"]) == (stream, consumer) and each.get("cluster", {}).get("leader"):
                            return next(n for n in self.nodes if n.server_name == each["cluster"]["leader"])
        return None

    def stop(self):
        for node in self.nodes:
            node.stop()


@pytest.fixture(scope="module")
def nats(place):
    with Nats(place("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def nats_cluster(place):
    cluster = NatsCluster(place)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
