"""Real servers from Debian's packages as sources: Prometheus, Redis, PostgreSQL. Values, wrong passwords, servers that stop and return."""
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import DEPLOYMENT, free_port, need_type, program, scaled_object, wait_for


class Server:
    def __init__(self, command, ready, **how):
        self.command, self.how, self.process, self.is_ready = command, how, None, ready
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.how)
        wait_for(self.is_ready, 30)

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # to PostgreSQL: do not wait for clients
        self.process.wait(20)


def run_object(weir, trigger, *more):
    w = weir()
    w.write("app.yaml", DEPLOYMENT.format(name="app", replicas=0) + scaled_object("", trigger=trigger) + "".join(more))
    return w.start()


# ------------------------------------------------------------------------------------------------------------ prometheus

@pytest.fixture
def prometheus(tmp_path):
    port = free_port()
    (tmp_path / "prom.yml").write_text("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: self\n  static_configs:\n"
                                       f"  - targets: ['127.0.0.1:{port}']\n")

    def ready():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
                return True
        except OSError:
            return False

    server = Server([program("prometheus"), f"--config.file={tmp_path}/prom.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
                     f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], ready)
    server.url = f"http://127.0.0.1:{port}"
    yield server
    if server.process.poll() is None:
        server.stop()


def prometheus_trigger(url, query, more=""):
    return f"""  - type: prometheus
    name: q
    metadata: {{serverAddress: "{url}", query: '{query}', threshold: "1"{more}}}
"""


def test_prometheus_value(weir, prometheus):
    w = run_object(weir, prometheus_trigger(prometheus.url, "vector(2.5)"))
    w.wait_ready(3)
    wait_for(lambda: w.object()["triggers"][0]["value"] == 2.5)
    prometheus.stop()
    wait_for(lambda: w.object()["triggers"][0]["state"] == "failed")
    time.sleep(3)
    assert w.object()["specReplicas"] == 3
    prometheus.start()
    wait_for(lambda: w.object()["triggers"][0]["state"] == "ok")


@pytest.mark.parametrize("query, state, says", [
    ("absent_metric", "missing", "no series"),
    ("vector(0)/0", "missing", ""),
    ("vector(1)/0", "missing", ""),
    ("prometheus_http_requests_total or vector(1)", "failed", "sum"),
    ("vector(1)[1m:1m]", "missing", ""),
    ("sum(", "failed", ""),
])
def test_prometheus_answers_without_a_value(weir, prometheus, query, state, says):
    w = run_object(weir, prometheus_trigger(prometheus.url, query))
    trigger = wait_for(lambda: (w.object().get("triggers") or [{}])[0].get("why") and w.object()["triggers"][0])
    assert trigger["state"] == state, trigger
    assert says in trigger["why"], trigger


def test_prometheus_ignore_null_values(weir, prometheus):
    w = run_object(weir, prometheus_trigger(prometheus.url, "absent_metric", ', ignoreNullValues: "true"'))
    wait_for(lambda: w.object().get("triggers", [{}])[0].get("state") == "ok")
    assert w.object()["triggers"][0]["value"] == 0


# ----------------------------------------------------------------------------------------------------------------- redis

@pytest.fixture
def redis(tmp_path):
    port = free_port()
    cli = [program("redis-cli"), "-h", "127.0.0.1", "-p", str(port), "-a", "s3cret", "--no-auth-warning"]

    def ready():
        return subprocess.run([*cli, "ping"], capture_output=True, text=True, check=False).stdout == "PONG\n"

    server = Server([program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path),
                     "--requirepass", "s3cret"], ready)
    server.address = f"127.0.0.1:{port}"
    server.do = lambda *words: subprocess.run([*cli, *words], check=True, capture_output=True)
    yield server
    if server.process.poll() is None:
        server.stop()


SECRET = """---
apiVersion: v1
kind: Secret
metadata: {{name: redis}}
stringData: {{password: {password}}}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {{name: redis}}
spec:
  secretTargetRef: [{{parameter: password, name: redis, key: password}}]
"""


def redis_trigger(redis, more=""):
    return f"""  - type: redis
    name: queue
    metadata: {{address: "{redis.address}", listName: jobs, listLength: "2"{more}}}
    authenticationRef: {{name: redis}}
"""


def test_redis_list_with_password_from_a_secret(weir, redis):
    redis.do("rpush", "jobs", "1", "2", "3", "4", "5")
    w = run_object(weir, redis_trigger(redis), SECRET.format(password="s3cret"))
    w.wait_ready(3)
    redis.do("del", "jobs")
    w.wait_ready(0)
    redis.do("set", "jobs", "not a list")
    wait_for(lambda: w.object()["triggers"][0]["state"] == "failed")


def test_redis_wrong_password_then_rotated(weir, redis):
    redis.do("rpush", "jobs", "1", "2", "3", "4")
    w = run_object(weir, redis_trigger(redis), SECRET.format(password="wr0ng"))
    why = wait_for(lambda: w.object().get("triggers", [{}])[0].get("why"))
    assert "wr0ng" not in why and "wr0ng" not in w.log_text()
    assert w.object()["specReplicas"] == 0
    text = DEPLOYMENT.format(name="app", replicas=0) + scaled_object("", trigger=redis_trigger(redis)) + SECRET.format(password="s3cret")
    w.write("app.yaml", text)
    w.wait_ready(2)
    for out in (w.log_text(), w.get("/metrics"), w.get("/api/v1/objects/default/app"), w.cli("explain", "app").stdout):
        assert "s3cret" not in out


def test_redis_server_restarts(weir, redis):
    redis.do("rpush", "jobs", "1", "2", "3", "4")
    w = run_object(weir, redis_trigger(redis), SECRET.format(password="s3cret"))
    w.wait_ready(2)
    redis.stop()
    wait_for(lambda: w.object()["triggers"][0]["state"] == "failed")
    time.sleep(3)
    assert w.object()["specReplicas"] == 2
    redis.start()
    redis.do("rpush", "jobs", "1", "2", "3", "4", "5", "6", "7", "8")
    w.wait_ready(4)


def test_redis_streams(weir, redis):
    for i in range(6):
        redis.do("xadd", "events", "*", "n", str(i))
    redis.do("xgroup", "create", "events", "workers", "0")
    redis.do("xreadgroup", "group", "workers", "a", "count", "4", "streams", "events", ">")
    trigger = f"""  - type: redis-streams
    name: pending
    metadata: {{address: "{redis.address}", stream: events, consumerGroup: workers, pendingEntriesCount: "2"}}
    authenticationRef: {{name: redis}}
"""
    w = run_object(weir, trigger, SECRET.format(password="s3cret"))
    w.wait_ready(2)
    assert w.object()["triggers"][0]["value"] == 4


# ------------------------------------------------------------------------------------------------------------ postgresql

@pytest.fixture
def postgresql():
    need_type("postgresql")
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("there is no user postgres (make deps installs postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="weir-pg-"))  # pytest's own folders are closed to the user postgres
    os.chmod(folder, 0o755)
    data, port = folder / "data", free_port()
    as_postgres = {"cwd": "/", "user": user.pw_uid, "group": user.pw_gid} if os.geteuid() == 0 else {"cwd": "/"}
    (folder / "pw").write_text("pgs3cret")
    data.mkdir()
    if os.geteuid() == 0:
        for path in (folder, data, folder / "pw"):
            shutil.chown(path, "postgres", "postgres")
    subprocess.run([program("initdb"), "-D", str(data), "-A", "scram-sha-256", f"--pwfile={folder}/pw", "-U", "postgres", "--no-sync"],
                   check=True, capture_output=True, **as_postgres)
    psql = [program("psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-qtA", "-c"]
    env = dict(os.environ, PGPASSWORD="pgs3cret")

    def ready():
        return subprocess.run([*psql, "select 1"], capture_output=True, text=True, env=env, check=False).stdout == "1\n"

    server = Server([program("postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c",
                     "unix_socket_directories=", "-c", "fsync=off"], ready, **as_postgres)
    server.port = port
    server.do = lambda sql: subprocess.run([*psql, sql], env=env, check=True, capture_output=True)
    yield server
    if server.process.poll() is None:
        server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def postgresql_manifest(server, query, password="pgs3cret"):
    trigger = f"""  - type: postgresql
    name: rows
    metadata: {{query: "{query}", targetQueryValue: "2"}}
    authenticationRef: {{name: database}}
"""
    return DEPLOYMENT.format(name="app", replicas=0) + scaled_object("", trigger=trigger) + f"""---
apiVersion: v1
kind: Secret
metadata: {{name: database}}
stringData:
  connection: "host=127.0.0.1 port={server.port} user=postgres password={password} dbname=postgres sslmode=disable"
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {{name: database}}
spec:
  secretTargetRef: [{{parameter: connection, name: database, key: connection}}]
"""


def run_postgresql(weir, *arguments):
    w = weir()
    w.write("app.yaml", postgresql_manifest(*arguments))
    return w.start()


def test_postgresql_query(weir, postgresql):
    postgresql.do("create table jobs (n int); insert into jobs select generate_series(1, 7)")
    w = run_postgresql(weir, postgresql, "select count(*) from jobs")
    w.wait_ready(4)
    postgresql.do("delete from jobs")
    w.wait_ready(0)
    postgresql.do("drop table jobs")
    why = wait_for(lambda: w.object()["triggers"][0].get("why"))
    assert "jobs" in why
    assert w.object()["triggers"][0]["state"] == "failed"


def test_postgresql_wrong_password(weir, postgresql):
    w = run_postgresql(weir, postgresql, "select 1", "wr0ngpw")
    why = wait_for(lambda: w.object().get("triggers", [{}])[0].get("why"))
    assert "password authentication failed" in why
    assert "wr0ngpw" not in w.get("/api/v1/objects/default/app") + w.log_text()


def test_postgresql_slow_query_and_restart(weir, postgresql, source):
    w = weir()
    w.write("app.yaml", postgresql_manifest(postgresql, "select 3 from pg_sleep(20)"))
    source.value = 30
    w.write("other.yaml", DEPLOYMENT.format(name="other", replicas=0) + scaled_object(source.url, name="other"))
    w.start()
    w.wait_ready(3, "other")
    wait_for(lambda: w.object()["triggers"][0]["state"] == "failed")
    postgresql.stop()
    source.value = 10
    w.wait_ready(1, "other")
