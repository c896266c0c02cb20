"""A Cassandra of one node with logins: user cassandra / cassandra, who may do everything.

    cassandra.cql("INSERT INTO shop.jobs (id) VALUES (1)", ...)    one after the other, over a connection of its own
    cassandra.port
"""
import socket
import struct
import subprocess

import pytest

from install import apt, maven
from server import Server, free_ports, java

YAML = """cluster_name: test
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 10000ms
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage}
ssl_storage_port: {secure}
native_transport_port: {port}
start_native_transport: true
endpoint_snitch: SimpleSnitch
authenticator: PasswordAuthenticator
role_manager: CassandraRoleManager
authorizer: CassandraAuthorizer
credentials_validity: 0ms
roles_validity: 0ms
permissions_validity: 0ms
seed_provider: [{{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{{seeds: "127.0.0.1:{storage}"}}]}}]
data_file_directories: [{folder}/data]
commitlog_directory: {folder}/commitlog
saved_caches_directory: {folder}/saved
hints_directory: {folder}/hints
cdc_raw_directory: {folder}/cdc
auto_snapshot: false
client_encryption_options: {{enabled: true, optional: true, keystore: {folder}/server.p12, keystore_password: keystore,
 truststore: {folder}/server.p12, truststore_password: keystore, store_type: PKCS12, require_client_auth: false}}
"""
OPENED = """java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.ref java.base/java.lang.reflect
java.base/java.math java.base/java.net java.base/java.nio java.base/java.util java.base/java.util.concurrent
java.base/java.util.concurrent.atomic java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.misc
java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch
java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.rmi/sun.rmi.transport java.rmi/sun.rmi.transport.tcp
java.management/com.sun.jmx.remote.security java.management.rmi/com.sun.jmx.remote.internal.rmi
jdk.compiler/com.sun.tools.javac.file jdk.management/com.sun.management.internal java.logging/java.util.logging java.sql/java.sql"""


def string(text):
    return struct.pack(">H", len(text)) + text.encode()


class Cql:
    """A client of its own, so that the one under test does not check itself."""

    def __init__(self, port, user, password):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        login = b"\0" + user.encode() + b"\0" + password.encode()
        assert self.ask(1, struct.pack(">H", 1) + string("CQL_VERSION") + string("3.0.0"))[0] == 3
        code, body = self.ask(15, struct.pack(">i", len(login)) + login)
        if code != 16:
            raise PermissionError(body)

    def ask(self, code, body):
        self.sock.sendall(struct.pack(">BBhBi", 4, 0, 0, code, len(body)) + body)
        head = self.exactly(9)
        return head[4], self.exactly(struct.unpack(">i", head[5:])[0])

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def query(self, text):
        code, body = self.ask(7, struct.pack(">i", len(text)) + text.encode() + struct.pack(">HB", 1, 0))
        assert code == 8, body


class Cassandra(Server):
    def __init__(self, folder, pki):
        apt("default-jdk-headless")
        self.port, storage, secure, jmx = free_ports(4)
        libraries = maven("cassandra", "org.apache.cassandra:cassandra-all:5.0.5")
        folder.mkdir(parents=True, exist_ok=True)
        keystore(pki, folder / "server.p12")
        (folder / "cassandra.yaml").write_text(YAML.format(storage=storage, secure=secure, port=self.port, folder=folder))
        opened = [option for name in OPENED.split() for option in
                  ("--add-opens", f"{name}=ALL-UNNAMED", "--add-exports", f"{name}=ALL-UNNAMED")]
        options = [*opened, "-Xss512k", "-Djdk.attach.allowAttachSelf=true", f"-Dcassandra.config=file:{folder}/cassandra.yaml",
                   f"-Dcassandra.storagedir={folder}", "-Dcassandra-foreground=yes", f"-Dcassandra.jmx.local.port={jmx}",
                   "-Djava.rmi.server.hostname=127.0.0.1", "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=100",
                   "-Dcassandra.superuser_setup_delay_ms=0"]
        super().__init__(folder, "cassandra", java(libraries, "org.apache.cassandra.service.CassandraDaemon", heap_mb=512,
                                                   options=options), ready=self.lets_in, ready_s=180, limit_s=30)

    def lets_in(self):
        """Its first user appears some seconds after the port."""
        try:
            Cql(self.port, "cassandra", "cassandra").sock.close()
            return True
        except (OSError, AssertionError, PermissionError):
            return False

    def cql(self, *statements):
        client = Cql(self.port, "cassandra", "cassandra")
        for statement in statements:
            client.query(statement)
        client.sock.close()

    def furnish(self):
        self.cql("CREATE KEYSPACE IF NOT EXISTS shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
                 "CREATE TABLE IF NOT EXISTS shop.jobs (id int PRIMARY KEY, small smallint, huge varint, name text, rate double)",
                 "CREATE ROLE IF NOT EXISTS weir WITH PASSWORD = 's3cret' AND LOGIN = true", "GRANT SELECT ON KEYSPACE shop TO weir")


def keystore(pki, path):
    subprocess.run(["openssl", "pkcs12", "-export", "-in", pki.path("server.crt"), "-inkey", pki.path("server.key"), "-certfile",
                    pki.path("ca.crt"), "-out", path, "-passout", "pass:keystore", "-name", "server"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def cassandra(place, pki):
    with Cassandra(place("cassandra"), pki) as server:
        yield server
