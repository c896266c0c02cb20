"""RabbitMQ: AMQP with and without TLS, the management API over HTTP and HTTPS.

    rabbitmq.queue("orders"); rabbitmq.publish("orders", 3)
    rabbitmq.amqp, rabbitmq.amqps             # host:port; clients without a certificate are let in, too
    rabbitmq.http, rabbitmq.https
    with rabbitmq.holding("orders", 2): ...   # two messages delivered to somebody who does not acknowledge them

Users: guest/guest, me/pw (may do all on / and on "a/b"), client (no password: by the PKI's client certificate).
"""
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from install import apt, pip
from server import Server, free_ports, wait_for

PIKA = "pika==1.3.2"
CONFIG = """listeners.tcp.1 = 127.0.0.1:{amqp}
listeners.ssl.1 = 127.0.0.1:{amqps}
ssl_options.cacertfile = {pki}/ca.crt
ssl_options.certfile = {pki}/server.crt
ssl_options.keyfile = {pki}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
ssl_cert_login_from = common_name
management.tcp.ip = 127.0.0.1
management.tcp.port = {http}
management.ssl.ip = 127.0.0.1
management.ssl.port = {https}
management.ssl.cacertfile = {pki}/ca.crt
management.ssl.certfile = {pki}/server.crt
management.ssl.keyfile = {pki}/server.key
collect_statistics_interval = 1000
"""
HOLD = """import pika, sys, time
channel = pika.BlockingConnection(pika.URLParameters(sys.argv[1])).channel()
for _ in range(int(sys.argv[3])):
    assert channel.basic_get(sys.argv[2])[0]
print("held", flush=True)
time.sleep(600)
"""


class RabbitMQ(Server):
    def __init__(self, folder, pki):
        apt("rabbitmq-server")
        amqp, amqps, http, https, distribution, self.epmd = self.ports = free_ports(6)
        self.amqp, self.amqps = f"127.0.0.1:{amqp}", f"localhost:{amqps}"
        self.http, self.https = f"127.0.0.1:{http}", f"localhost:{https}"
        self.url = f"http://{self.http}"
        self.python = pip("rabbitmq", PIKA)
        self.pki = pki.give(folder / "pki", "rabbitmq" if os.geteuid() == 0 else None)
        env = {"RABBITMQ_NODENAME": f"weir{amqp}@localhost", "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
               "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia", "RABBITMQ_LOG_BASE": f"{folder}/log",
               "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins", "RABBITMQ_DIST_PORT": distribution, "ERL_EPMD_PORT": self.epmd,
               "ERL_EPMD_ADDRESS": "127.0.0.1", "HOME": folder,
               "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"}
        super().__init__(folder, "rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], self.is_up, env=env, user="rabbitmq",
                         ready_s=120, limit_s=30)

    def prepare(self):
        amqp, amqps, http, https, *_ = self.ports
        (self.folder / "rabbitmq.conf").write_text(
            CONFIG.format(amqp=amqp, amqps=amqps, http=http, https=https, pki=self.pki))
        (self.folder / "plugins").write_text("[rabbitmq_management,rabbitmq_auth_mechanism_ssl].\n")

    def is_up(self):
        try:
            return self.api("GET", "/api/health/checks/local-alarms")["status"] == "ok"
        except (OSError, ValueError):
            return False

    def api(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), {
            "Content-Type": "application/json", "Authorization": "Basic " + b64encode(b"guest:guest").decode()}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def account(self, name, password, vhosts=("/", "a/b")):
        self.api("PUT", f"/api/users/{name}", {"password": password, "tags": "monitoring"} if password else
                 {"password_hash": "", "tags": "monitoring"})
        for vhost in vhosts:
            self.api("PUT", f"/api/permissions/{quote(vhost, safe='')}/{name}", {"configure": ".*", "write": ".*", "read": ".*"})

    def furnish(self):
        self.api("PUT", "/api/vhosts/a%2Fb")
        self.account("me", "pw")
        self.account("client", None)

    def queue(self, name, vhost="/"):
        self.api("PUT", f"/api/queues/{quote(vhost, safe='')}/{quote(name, safe='')}", {"durable": True})

    def delete(self, name, vhost="/"):
        self.api("DELETE", f"/api/queues/{quote(vhost, safe='')}/{quote(name, safe='')}")

    def publish(self, queue, count=1, vhost="/"):
        for _ in range(count):
            self.api("POST", f"/api/exchanges/{quote(vhost, safe='')}/amq.default/publish", {
                "properties": {"delivery_mode": 2}, "routing_key": queue, "payload": "x", "payload_encoding": "string"})

    def counted(self, queue, count, field="messages"):
        """The statistics know it: they are written once a second."""
        def known():
            return self.api("GET", f"/api/queues/%2F/{quote(queue, safe='')}").get(field) == count

        wait_for(known, 30)

    @contextmanager
    def holding(self, queue, count):
        with subprocess.Popen([self.python, "-c", HOLD, f"amqp://guest:guest@{self.amqp}/%2F", queue, str(count)], stdout=subprocess.PIPE,
                              text=True) as client:
            try:
                assert client.stdout.readline() == "held\n"
                yield
            finally:
                client.kill()

    def connections(self):
        return len(self.api("GET", "/api/connections"))

    def stop(self):
        super().stop()
        self.end_epmd()

    def kill(self):
        super().kill()
        self.end_epmd()

    def end_epmd(self):
        """Erlang's port mapper stays behind."""
        for _ in range(20):
            said = subprocess.run(["epmd", "-kill"], env={**os.environ, "ERL_EPMD_PORT": str(self.epmd)}, capture_output=True, text=True,
                                  check=False).stdout
            if "not allowed" not in said:
                return
            time.sleep(0.2)


@pytest.fixture(scope="module")
def rabbitmq(place, pki):
    with RabbitMQ(place("rabbitmq"), pki) as server:
        yield server
