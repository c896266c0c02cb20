"""Apache Pulsar standalone, which lets in who has a token it signed: pulsar.token("admin"), other users may do nothing.

    pulsar.topic("orders"); pulsar.subscribe("orders", "worker"); pulsar.publish("orders", 3); pulsar.url
"""
import base64
import hashlib
import hmac
import json
import urllib.request

import pytest

from install import maven
from server import Server, answers, free_ports, java

JARS = "org.apache.pulsar:pulsar-broker:4.0.7"
CONFIG = """brokerServicePort={port}
webServicePort={web}
bindAddress=127.0.0.1
advertisedAddress=127.0.0.1
clusterName=standalone
managedLedgerDefaultEnsembleSize=1
managedLedgerDefaultWriteQuorum=1
managedLedgerDefaultAckQuorum=1
loadBalancerEnabled=false
loadManagerClassName=org.apache.pulsar.broker.loadbalance.NoopLoadManager
brokerDeleteInactiveTopicsEnabled=false
allowAutoTopicCreation=false
systemTopicEnabled=false
topicLevelPoliciesEnabled=false
transactionCoordinatorEnabled=false
authenticationEnabled=true
authorizationEnabled=true
superUserRoles=admin
authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken
tokenSecretKey=data:;base64,{key}
brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken
brokerClientAuthenticationParameters=token:{token}
"""
OPENED = ["java.base/sun.net", "java.base/java.lang", "java.base/java.nio", "java.base/jdk.internal.misc",
          "java.base/sun.net.www.protocol.file", "java.management/sun.management",
          "jdk.management/com.sun.management.internal"]


def base64url(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Pulsar(Server):
    def __init__(self, folder):
        libraries = maven("pulsar", JARS)
        self.port, self.web, bookies = free_ports(3)
        self.url = f"http://127.0.0.1:{self.web}"
        self.key = hashlib.sha256(b"weir").digest()
        options = [f"--add-opens={name}=ALL-UNNAMED" for name in OPENED]
        command = java(libraries, "org.apache.pulsar.PulsarStandaloneStarter", "--config", f"{folder}/standalone.conf", "-nfw", "-nss",
                       "--advertised-address", "127.0.0.1", "--metadata-dir", f"{folder}/meta", "--bookkeeper-dir", f"{folder}/bk",
                       "--bookkeeper-port", bookies, heap_mb=512,
                       options=["-XX:MaxDirectMemorySize=512m", "-Dio.netty.tryReflectionSetAccessible=true", *options])
        super().__init__(folder, "pulsar", command, self.is_up, ready_s=150, limit_s=20)

    def prepare(self):
        (self.folder / "standalone.conf").write_text(CONFIG.format(
            port=self.port, web=self.web, key=base64.b64encode(self.key).decode(), token=self.token("admin")))

    def token(self, user):
        text = base64url(b'{"alg":"HS256"}') + "." + base64url(json.dumps({"sub": user}).encode())
        return text + "." + base64url(hmac.new(self.key, text.encode(), hashlib.sha256).digest())

    def admin(self, method, path, body=None):
        request = urllib.request.Request(f"{self.url}{path}", None if body is None else json.dumps(body).encode(), {
            "Content-Type": "application/json", "Authorization": f"Bearer {self.token('admin')}"}, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()

    def is_up(self):
        if not answers(f"{self.url}/admin/v2/brokers/ready"):
            return False
        try:
            return "public/default" in self.admin("GET", "/admin/v2/namespaces/public")
        except OSError:
            return False

    def topic(self, name, partitions=0):
        path = f"/admin/v2/persistent/public/default/{name}"
        if partitions:
            self.admin("PUT", f"{path}/partitions", partitions)
        else:
            self.admin("PUT", path)

    def subscribe(self, topic, name):
        self.admin("PUT", f"/admin/v2/persistent/public/default/{topic}/subscription/{name}")

    def publish(self, topic, count, partition=None):
        part = "" if partition is None else f"/partitions/{partition}"
        self.admin("POST", f"/topics/persistent/public/default/{topic}{part}", {
            "producerName": "test", "messages": [{"payload": "x"} for _ in range(count)]})


@pytest.fixture(scope="module")
def pulsar(place):
    with Pulsar(place("pulsar")) as server:
        yield server
