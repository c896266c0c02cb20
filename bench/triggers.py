"""What a poll costs, and how many connections are opened, for a thousand objects with a question each on one real server (those of
test/servers): prometheus, redis, postgresql, rabbitmq (AMQP), kafka. For `bench/run triggers` or `bench/run triggers:redis,kafka`."""
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path = [path for path in sys.path if Path(path).resolve() != ROOT / "bench"]  # its cluster.py is not test/cluster
sys.path.insert(0, str(ROOT / "test"))
sys.path.insert(0, str(ROOT / "test" / "servers"))
OBJECTS, INTERVAL_S, SETTLE_S, MEASURE_S, SAMPLE_S = 1000, 5, 10, 30, 0.25
TICKS = os.sysconf("SC_CLK_TCK")
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "target"}, "spec": {
    "replicas": 1, "selector": {"matchLabels": {"app": "target"}}, "template": {"metadata": {"labels": {"app": "target"}}, "spec": {
        "containers": [{"name": "main", "image": "none", "command": ["sleep", "100000"]}]}}}}


# ---- the sources: a server with its ports, and what object number n asks

def prometheus(place, _):
    from prometheus_server import Prometheus
    server = Prometheus(place("prometheus")).start()
    return server, [server.port], lambda n: ({"serverAddress": server.url, "query": f"vector({n} + 1)", "threshold": 5}, {})


def redis(place, _):
    from redis_server import Redis
    server = Redis(place("redis")).start()
    for n in range(OBJECTS):
        server.cli("RPUSH", f"list-{n}", "a", "b")
    return server, [server.port], lambda n: ({"address": server.address, "listName": f"list-{n}"}, {"password": server.password})


def postgresql(place, pki):
    from postgresql_server import PostgreSQL
    server = PostgreSQL(place("postgresql"), pki).start()
    server.sql("CREATE TABLE jobs (n int); GRANT ALL ON jobs TO app; INSERT INTO jobs SELECT generate_series(1, 1000)", "shop")
    return server, [server.port], lambda n: (server.parts(query=f"SELECT count(*) FROM jobs WHERE n > {n}", targetQueryValue=5),
                                             {"password": "apppw"})


def rabbitmq(place, pki):
    from rabbitmq_server import RabbitMQ
    server = RabbitMQ(place("rabbitmq"), pki).start()
    for n in range(OBJECTS):
        server.queue(f"queue-{n}")
    return server, [int(server.amqp.rsplit(":", 1)[1])], lambda n: (
        {"queueName": f"queue-{n}", "mode": "QueueLength", "value": 5, "protocol": "amqp"}, {"host": f"amqp://me:pw@{server.amqp}/"})


def kafka(place, pki):
    from kafka_server import Kafka
    server = Kafka(place("kafka"), pki).start()
    server.do(["topic", "orders", 3], ["produce", "orders", 0, 10])
    return server, [server.ports["plain"]], lambda n: (
        {"bootstrapServers": server.plain, "consumerGroup": f"group-{n}", "topic": "orders", "lagThreshold": 5}, {})


SOURCES = {"prometheus": prometheus, "redis": redis, "postgresql": postgresql, "rabbitmq": rabbitmq, "kafka": kafka}


# ---- the objects

def manifests(type_, question):
    metadata, auth = question(0)
    documents, reference = [DEPLOYMENT], {}
    if auth:
        documents += [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "access"}, "stringData": auth},
                      {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "access"}, "spec": {
                          "secretTargetRef": [{"parameter": name, "name": "access", "key": name} for name in auth]}}]
        reference = {"authenticationRef": {"name": "access"}}
    for n in range(OBJECTS):
        metadata = {name: str(value) for name, value in question(n)[0].items()}
        documents.append({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {
            "name": f"object-{n:04}", "annotations": {"weir.dev/mode": "observe"}}, "spec": {
                "scaleTargetRef": {"name": "target"}, "pollingInterval": INTERVAL_S, "minReplicaCount": 1,
                "triggers": [{"type": type_, "metadata": metadata, **reference}]}})
    return "".join("---\n" + json.dumps(document) + "\n" for document in documents)


# ---- measuring

def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def connections(pid, ports):
    """Our ends of those it has to these ports now."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(link))
        except OSError:
            pass
    found = set()
    for table in "tcp", "tcp6":
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[2].rsplit(":", 1)[1], 16) in ports and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1])
    return found


def metric(weir, name):
    found = re.search(rf"^{name} (\S+)$", weir.get("/metrics"), re.M)
    return float(found.group(1)) if found else 0.0


def watched(weir, ports, seconds, opened):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        opened |= connections(weir.process.pid, ports)
        time.sleep(SAMPLE_S)


def measure(record, type_, ports, weir):
    opened, limit = set(), time.monotonic() + 120
    while metric(weir, "weir_first_decisions_done_seconds") == 0:
        if time.monotonic() > limit:
            raise RuntimeError("not all objects decided: " + weir.log_text()[-2000:])
        watched(weir, ports, 0.5, opened)
    watched(weir, ports, SETTLE_S, opened)
    pid, polls, cpu = weir.process.pid, metric(weir, "weir_object_polls_total"), cpu_s(weir.process.pid)
    watched(weir, ports, MEASURE_S, opened)
    polls, cpu = metric(weir, "weir_object_polls_total") - polls, cpu_s(pid) - cpu
    good = json.loads(weir.get("/api/v1/objects/default/object-0007"))["triggers"][0]
    if good["state"] != "ok":
        raise RuntimeError(f"{type_}: {json.dumps(good)}")
    record(f"trigger_cpu_us_{type_}", cpu / polls * 1e6, "us")
    record(f"trigger_connections_{type_}", len(opened), "1")
    if type_ == "kafka":
        record("kafka_1k_rss", rss_mib(pid), "MiB")


def one(record, type_, folder):
    from pki import Pki
    from support.weir import Running

    def place(name):
        made = folder / name
        made.mkdir()
        return made

    server, ports, question = SOURCES[type_](place, Pki(place("pki")))
    try:
        home = place("weir")
        (home / "objects.yaml").write_text(manifests(type_, question))
        weir = Running(home, home / "objects.yaml").start()
        try:
            measure(record, type_, ports, weir)
        finally:
            weir.stop(60)
    finally:
        server.stop()


def triggers(record, wanted=()):
    for type_ in wanted or SOURCES:
        folder = Path(tempfile.mkdtemp(prefix="weir-bench-"))
        folder.chmod(0o755)  # servers run as users of their own
        try:
            one(record, type_, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
