"""A Kafka broker (KRaft, one node) that speaks plain, with a login, over TLS, over TLS to those who have a certificate, to those who
bring a token of the issuer (issuer_server.py), and to those who bring a ticket of a KDC (kerberos_server.py).

    kafka.plain, kafka.sasl, kafka.tls, kafka.mutual, kafka.tokens, kafka.tickets    addresses, "localhost:P"; tokens: from Kafka 4 on
    kafka.do(["topic", "orders", 3], ["produce", "orders", 0, 10], ["commit", "billing", "orders", 0, 4])
    kafka.do(["delete", "orders"], ["password", "bob", "new"])
    kafka.do(["allow", "alice", "orders"])        with a KDC: nobody else who has signed in may read this topic

Logins: alice/alicepw by PLAIN, bob/bobpw by SCRAM-SHA-256 and SCRAM-SHA-512. Who came with a token is sent away when it ends, and after
REAUTHENTICATE_MS at the latest; so is who came with a ticket.
"""
import json
import subprocess

import pytest

from install import apt, maven, pip
from issuer_server import issuer  # noqa: F401
from kerberos_server import REALM
from server import Server, free_ports, java

REAUTHENTICATE_MS = 4000

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAIN://127.0.0.1:{plain},LOGIN://127.0.0.1:{sasl},TLS://127.0.0.1:{tls},MUTUAL://127.0.0.1:{mutual},TOKENS://127.0.0.1:{tokens},TICKETS://127.0.0.1:{tickets},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAIN://localhost:{plain},LOGIN://localhost:{sasl},TLS://localhost:{tls},MUTUAL://localhost:{mutual},TOKENS://localhost:{tokens},TICKETS://localhost:{tickets}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLS:SSL,MUTUAL:SSL,TOKENS:{tokens_by},TICKETS:{tickets_by}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=true
num.partitions=1
log.cleaner.dedupe.buffer.size=2097152
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alicepw";
listener.name.login.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={pki}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={pki}/ca.crt
listener.name.mutual.ssl.client.auth=required
"""
TOKENS = """listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.tokens.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.tokens.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.tokens.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={issuer.keys_url}
listener.name.tokens.oauthbearer.sasl.oauthbearer.expected.issuer={issuer.url}
listener.name.tokens.oauthbearer.sasl.oauthbearer.expected.audience=kafka
listener.name.tokens.oauthbearer.connections.max.reauth.ms={reauthenticate}
"""
TICKETS = """listener.name.tickets.sasl.enabled.mechanisms=GSSAPI
listener.name.tickets.gssapi.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab="{keytab}" principal="kafka/localhost@{realm}";
listener.name.tickets.gssapi.connections.max.reauth.ms={reauthenticate}
sasl.kerberos.service.name=kafka
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
"""
# Topics are created by whoever asks for one (auto.create.topics.enable): a client that only looks must not do that.

CLIENT = """
import json, sys
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka import admin as a
server = sys.argv[1]
admin = a.AdminClient({"bootstrap.servers": server})
def wait(futures):
    for future in futures.values(): future.result(30)
for what, *args in json.loads(sys.argv[2]):
    if what == "topic": wait(admin.create_topics([a.NewTopic(args[0], args[1], 1)]))
    elif what == "topics": wait(admin.create_topics([a.NewTopic(name, args[1], 1) for name in args[0]]))
    elif what == "delete": wait(admin.delete_topics([args[0]]))
    elif what == "grow": wait(admin.create_partitions([a.NewPartitions(args[0], args[1])]))
    elif what == "produce":
        producer = Producer({"bootstrap.servers": server})
        for number in range(args[2]): producer.produce(args[0], str(number), partition=args[1])
        assert producer.flush(30) == 0
    elif what == "commit":
        consumer = Consumer({"bootstrap.servers": server, "group.id": args[0], "enable.auto.commit": False})
        for place in consumer.commit(offsets=[TopicPartition(args[1], args[2], args[3])], asynchronous=False): assert not place.error
        consumer.close()
    elif what == "password":
        for name in ("SCRAM_SHA_256", "SCRAM_SHA_512"):
            wait(admin.alter_user_scram_credentials([a.UserScramCredentialUpsertion(
                args[0], a.ScramCredentialInfo(getattr(a.ScramMechanism, name), 4096), args[1].encode())]))
    elif what == "allow":
        wait(admin.create_acls([a.AclBinding(a.ResourceType.TOPIC, args[1], a.ResourcePatternType.LITERAL, f"User:{args[0]}", "*",
                                             a.AclOperation.ALL, a.AclPermissionType.ALLOW)]))
    elif what == "list": print(json.dumps(sorted(admin.list_topics(timeout=30).topics)))
"""


class Kafka(Server):
    def __init__(self, folder, pki, version="4.3.1", issuer=None, kdc=None):  # noqa: F811
        if not subprocess.run(["sh", "-c", "command -v java"], capture_output=True, check=False).stdout:
            apt("default-jre-headless")
        self.jars = maven(f"kafka-{version}", f"org.apache.kafka:kafka_2.13:{version}", "org.apache.logging.log4j:log4j-core:2.25.2",
                          "org.apache.logging.log4j:log4j-slf4j-impl:2.25.2")
        self.python = pip("kafka", "confluent-kafka==2.16.1")
        self.pki, self.issuer, self.kdc = pki, issuer, kdc
        self.ports = dict(zip(("plain", "sasl", "tls", "mutual", "tokens", "tickets", "controller"), free_ports(7)))
        self.plain, self.sasl, self.tls, self.mutual, self.tokens, self.tickets = (
            f"localhost:{self.ports[name]}" for name in ("plain", "sasl", "tls", "mutual", "tokens", "tickets"))
        options = [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer.keys_url}"] if issuer else []
        options += [f"-Djava.security.krb5.conf={kdc.config}"] if kdc else []
        super().__init__(folder, "kafka", java(self.jars, "kafka.Kafka", f"{folder}/server.properties", heap_mb=384, options=options),
                         ready=self.ports["plain"], limit_s=20)

    def prepare(self):
        if (self.folder / "data").exists():
            return
        properties = self.folder / "server.properties"
        text = PROPERTIES.format(folder=self.folder, pki=self.pki.folder, tokens_by="SASL_PLAINTEXT" if self.issuer else "PLAINTEXT",
                                 tickets_by="SASL_PLAINTEXT" if self.kdc else "PLAINTEXT", **self.ports)
        if self.kdc:
            text += TICKETS.format(keytab=self.kdc.keytab("kafka/localhost"), realm=REALM, reauthenticate=REAUTHENTICATE_MS)
        properties.write_text(text + (TOKENS.format(issuer=self.issuer, reauthenticate=REAUTHENTICATE_MS) if self.issuer else ""))
        said = subprocess.run(java(self.jars, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", properties,
                                   "--add-scram", "SCRAM-SHA-256=[name=bob,password=bobpw]",
                                   "--add-scram", "SCRAM-SHA-512=[name=bob,password=bobpw]"),
                              capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr

    def do(self, *actions):
        said = subprocess.run([self.python, "-c", CLIENT, f"127.0.0.1:{self.ports['plain']}", json.dumps(actions)],
                              capture_output=True, text=True, check=False, timeout=120)
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout


@pytest.fixture(scope="module")
def kafka(place, pki, issuer):  # noqa: F811
    with Kafka(place("kafka"), pki, issuer=issuer) as server:
        yield server


@pytest.fixture(scope="module")
def kafka_3(place, pki):
    """The last one that takes SCRAM from librdkafka before 2.6.1."""
    with Kafka(place("kafka"), pki, "3.9.1") as server:
        yield server
