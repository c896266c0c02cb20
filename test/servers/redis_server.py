"""Redis: alone, behind Sentinel, and as a cluster; over TLS as well, with passwords and an ACL user.

    redis.cli("RPUSH", "jobs", "a")        what redis-cli says; an error reply raises
    redis.address, redis.tls               "127.0.0.1:P", plain and over TLS ("mutual" wants a client certificate)
    sentinel.addresses, sentinel.master()  of the sentinels; the Redis they name now: sentinel.master().cli(...)
    sentinel.failover()                    returns when the sentinels name another one
    cluster.addresses, cluster.cli(...)    the client follows redirects; cluster.node(i), cluster.owner(key)

The password is "pw" (redis.password), of Sentinel "spw"; user bob/bobpw may only read.
"""
import subprocess

import pytest

from install import apt
from server import Server, free_port, wait_for

PASSWORD = "pw"
READER = ["user", "default", "on", f">{PASSWORD}", "~*", "&*", "+@all"], ["user", "bob", "on", ">bobpw", "~*", "+@read", "+@connection"]


def redis_cli(port, words, password=PASSWORD, *options):
    done = subprocess.run(["redis-cli", "-p", str(port), "--no-auth-warning", "-e", *(["-a", password] if password else []), *options,
                           *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"redis-cli {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


class Redis(Server):
    """more: configuration, words of redis-server's command line."""

    def __init__(self, folder, pki=None, more=(), name="redis"):
        apt("redis-server", "redis-tools")
        self.pki, self.password, self.port, self.tls_port, self.mutual = pki, PASSWORD, free_port((10000,)), 0, False
        self.users = folder / "users.acl"
        self.users.write_text("\n".join(" ".join(line) for line in READER) + "\n")
        words = ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--save", "", "--dir", folder, "--aclfile", self.users,
                 "--masterauth", PASSWORD, *more]
        if pki:
            self.tls_port = free_port((10000,))
            words += ["--tls-port", self.tls_port, "--tls-cert-file", pki.path("server.crt"), "--tls-key-file", pki.path("server.key"),
                      "--tls-ca-cert-file", pki.path("ca.crt"), "--tls-auth-clients", "optional"]
        super().__init__(folder, name, words, ready=lambda: self.cli("PING") == "PONG")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def tls(self):
        return f"localhost:{self.tls_port}"

    def cli(self, *words, **more):
        try:
            return redis_cli(self.port, words, self.password, **more)
        except RuntimeError:
            if not self.pid or words == ("PING",):
                return ""
            raise

    def rotate(self, password):
        """From now on this is the password of the default user; who is connected is thrown out."""
        redis_cli(self.port, ["ACL", "SETUSER", "default", "resetpass", f">{password}"], self.password)
        self.password = password
        self.cli("CLIENT", "KILL", "TYPE", "normal")

    def connections(self):
        """How many were opened since the start, without this one's."""
        lines = dict(line.split(":", 1) for line in self.cli("INFO", "stats").splitlines() if ":" in line)
        return int(lines["total_connections_received"])


class Sentinels:
    """A master, a replica, and as many sentinels as wanted."""

    def __init__(self, place, count=2):
        apt("redis-server", "redis-tools")
        self.redis = [Redis(place("redis")), None]
        self.redis[1] = Redis(place("redis"), more=["--replicaof", "127.0.0.1", self.redis[0].port])
        self.ports = [free_port() for _ in range(count)]
        self.servers = [Server(place("sentinel"), "sentinel", ["redis-server", "sentinel.conf", "--sentinel"], ready=port)
                        for port in self.ports]

    def start(self):
        for one in self.redis:
            one.start()
        for server, port in zip(self.servers, self.ports):
            (server.folder / "sentinel.conf").write_text(
                f"bind 127.0.0.1\nport {port}\nrequirepass spw\nsentinel sentinel-pass spw\ndir {server.folder}\n"
                f"sentinel monitor mymaster 127.0.0.1 {self.redis[0].port} 1\nsentinel auth-pass mymaster {PASSWORD}\n"
                "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 4000\n")
            server.start()
        wait_for(lambda: "master_link_status:up" in self.redis[1].cli("INFO", "replication"), 60)
        wait_for(lambda: "slave" in self.ask("SENTINEL", "replicas", "mymaster"), 60)
        return self

    def ask(self, *words):
        port = next(port for server, port in zip(self.servers, self.ports) if server.pid)
        return redis_cli(port, words, "spw")

    @property
    def addresses(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def master(self):
        port = int(self.ask("SENTINEL", "get-master-addr-by-name", "mymaster").split()[1])
        return next(one for one in self.redis if one.port == port)

    def failover(self):
        before = self.master()
        wait_for(lambda: "OK" in self.ask("SENTINEL", "failover", "mymaster"), 60, 1)
        wait_for(lambda: self.master() is not before, 60)
        wait_for(lambda: "role:master" in self.master().cli("INFO", "replication"), 60)

    def stop(self):
        for server in [*self.servers, *self.redis]:
            server.stop()


class Cluster:
    """Three masters without replicas, or with one each. tls: the nodes talk TLS to each other and announce that port."""

    def __init__(self, place, pki=None, replicas=0):
        more = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", 2000]
        if pki:
            more += ["--tls-cluster", "yes", "--tls-replication", "yes", "--cluster-announce-hostname", "localhost",
                     "--cluster-preferred-endpoint-type", "hostname"]
        self.pki, self.replicas = pki, replicas
        self.nodes = [Redis(place("node"), pki, more) for _ in range(3 + 3 * replicas)]

    def start(self):
        for node in self.nodes:
            node.start()
        ports = [f"127.0.0.1:{node.tls_port if self.pki else node.port}" for node in self.nodes]
        tls = ["--tls", "--cacert", str(self.pki.path("ca.crt"))] if self.pki else []
        redis_cli(self.nodes[0].port, ["--cluster", "create", *ports, "--cluster-yes", "--cluster-replicas", self.replicas], PASSWORD, *tls)
        for node in self.nodes:
            wait_for(lambda: "cluster_state:ok" in node.cli("CLUSTER", "INFO"), 60)
        return self

    @property
    def addresses(self):
        return ",".join(node.tls if self.pki else node.address for node in self.nodes[:3])

    def cli(self, *words):
        return redis_cli(self.nodes[0].port, words, PASSWORD, "-c")

    def owner(self, key):
        slot = int(self.nodes[0].cli("CLUSTER", "KEYSLOT", key))
        for node in self.nodes:
            mine = next(line for line in node.cli("CLUSTER", "NODES").splitlines() if "myself" in line).split()
            for part in mine[8:]:
                first, _, last = part.partition("-")
                if "[" not in part and int(first) <= slot <= int(last or first):
                    return node
        raise AssertionError(f"nobody has slot {slot}")

    def stop(self):
        for node in self.nodes:
            node.stop()


@pytest.fixture(scope="module")
def redis(servers, pki):
    return servers.once(Redis, pki)


def group(kind, *arguments):
    server = kind(*arguments)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def sentinel(place):
    yield from group(Sentinels, place)


@pytest.fixture(scope="module")
def cluster(place):
    yield from group(Cluster, place)
