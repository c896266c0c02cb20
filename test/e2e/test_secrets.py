"""No credential comes out. Every credential parameter of every trigger type is planted in every way it can be given, at sources that fail and
say in their answers what they were told; then everything Weir says is searched: log at debug level, API, stream, metrics, journal, recording,
commands. What is planted holds the word "kanarie", which is looked for as it is and in base64, wherever it begins there; percent-encoding leaves
its letters alone."""
import base64
import contextlib
import gzip
import itertools
import json
import re
import socket
import struct
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from conftest import ROOT, WEIR, built_in, wait_for
from support.weir import UnixConnection

WORD = b"kanarie"
# The word alone, and what of its base64 does not depend on what stands around it, for each place it may begin at.
FORMS = [WORD, b"a2FuYXJp", b"bmFyaW", b"YW5hcmll"]
PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"

# How a type is asked, besides its credentials. A new type needs a row here.
HTTP = "http://127.0.0.1:{http}/{case}"
PLAIN = "http://127.0.0.1:{http}"
SELECTOR = '{{"selector": {{"a": 1}}}}'
BASES = {
    # without credentials
    **dict.fromkeys(("cpu", "memory", "cron", "kubernetes-workload", "kubernetes-resource", "beanstalkd", "liiklus", "nats-jetstream", "nsq")),
    "prometheus": {"serverAddress": HTTP, "query": "up", "threshold": "1"},
    "metrics-api": {"url": HTTP, "valueLocation": "value", "targetValue": "1"},
    "inference": {"url": HTTP, "signal": "waiting", "target": "1"},
    "activemq": {"managementEndpoint": "127.0.0.1:{http}", "destinationName": "q", "brokerName": "b", "username": "me"},
    "artemis-queue": {"managementEndpoint": "127.0.0.1:{http}", "queueName": "q", "brokerName": "b", "brokerAddress": "a", "username": "me"},
    "arangodb": {"endpoints": PLAIN, "dbName": "d", "collection": "c", "query": "FOR x IN c RETURN 1", "queryValue": "1"},
    "couchdb": {"host": "127.0.0.1", "port": "{http}", "dbName": "d", "username": "me", "query": SELECTOR, "queryValue": "1"},
    "elastic-forecast": {"addresses": PLAIN, "jobID": "j", "targetValue": "1"},
    "elasticsearch": {"addresses": PLAIN, "index": "i", "searchTemplateName": "t", "valueLocation": "v", "targetValue": "1"},
    "opensearch": {"addresses": PLAIN, "index": "i", "searchTemplateName": "t", "valueLocation": "v", "targetValue": "1"},
    "forgejo-runner": {"address": PLAIN, "labels": "l", "name": "runner", "global": "true"},
    "github-runner": {"githubApiURL": PLAIN, "owner": "o", "runnerScope": "repo", "repos": "r", "labels": "l"},
    "graphite": {"serverAddress": HTTP, "query": "q", "queryTime": "-1Min", "threshold": "1"},
    "ibmmq": {"host": HTTP, "queueName": "q", "username": "me"},
    "influxdb": {"serverURL": PLAIN, "query": "q", "organizationName": "o", "thresholdValue": "1"},
    "loki": {"serverAddress": HTTP, "query": "q", "threshold": "1"},
    "openstack-metric": {"metricsURL": PLAIN, "metricID": "m", "aggregationMethod": "mean", "granularity": "300", "threshold": "1"},
    "openstack-swift": {"swiftURL": PLAIN, "containerName": "c"},
    "predictkube": {"prometheusAddress": HTTP, "query": "q", "predictHorizon": "2h", "queryStep": "2m", "historyTimeWindow": "7d",
                    "threshold": "1"},
    "pulsar": {"adminURL": PLAIN, "topic": "persistent://public/default/t", "subscription": "s"},
    "rabbitmq": {"host": PLAIN + "/", "protocol": "http", "queueName": "q", "mode": "QueueLength", "value": "1"},
    "selenium-grid": {"url": HTTP, "browserName": "chrome"},
    "solace-direct-messaging": {"solaceSempBaseURL": PLAIN, "messageVpn": "v", "clientNamePattern": "p",
                                "aggregatedClientTxMsgRateTarget": "1"},
    "solace-event-queue": {"solaceSempBaseURL": PLAIN, "messageVpn": "v", "queueName": "q", "username": "me", "messageCountTarget": "1"},
    "solr": {"host": HTTP, "collection": "c", "query": "*", "targetQueryValue": "1", "username": "me"},
    "splunk": {"host": PLAIN, "savedSearchName": "s", "valueField": "v", "targetValue": "1", "activationValue": "0"},
    "redis": {"address": "127.0.0.1:{redis}", "listName": "q"},
    "redis-streams": {"address": "127.0.0.1:{redis}", "stream": "s"},
    "redis-cluster": {"addresses": "127.0.0.1:{redis}", "listName": "q"},
    "redis-cluster-streams": {"addresses": "127.0.0.1:{redis}", "stream": "s"},
    "redis-sentinel": {"addresses": "127.0.0.1:{redis}", "sentinelMaster": "m", "listName": "q"},
    "redis-sentinel-streams": {"addresses": "127.0.0.1:{redis}", "sentinelMaster": "m", "stream": "s"},
    "clickhouse": {"host": "127.0.0.1", "port": "{redis}", "username": "me", "database": "d", "query": "SELECT 1", "targetQueryValue": "1"},
    "postgresql": {"host": "127.0.0.1", "port": "{postgres}", "userName": "app", "dbName": "{case}", "sslmode": "disable",
                   "query": "SELECT 1", "targetQueryValue": "1"},
    "cassandra": {"clusterIPAddress": "127.0.0.1", "port": "{redis}", "keyspace": "k", "query": "SELECT 1", "targetQueryValue": "1",
                  "username": "me", "protocolVersion": "4", "consistency": "ONE"},
    "etcd": {"endpoints": "127.0.0.1:{redis}", "watchKey": "k", "value": "1"},
    "external": {"scalerAddress": "127.0.0.1:{redis}"},
    "external-push": {"scalerAddress": "127.0.0.1:{redis}"},
    "kafka": {"bootstrapServers": "127.0.0.1:{redis}", "consumerGroup": "g", "topic": "t"},
    "apache-kafka": {"bootstrapServers": "127.0.0.1:{redis}", "consumerGroup": "g", "topic": "t"},
    "mongodb": {"host": "127.0.0.1", "port": "{redis}", "username": "me", "dbName": "d", "collection": "c", "query": SELECTOR, "queryValue": "1"},
    "mssql": {"host": "127.0.0.1", "port": "{redis}", "username": "me", "query": "SELECT 1", "targetValue": "1"},
    "mysql": {"host": "127.0.0.1", "port": "{redis}", "username": "me", "dbName": "d", "query": "SELECT 1", "queryValue": "1"},
    "temporal": {"endpoint": "127.0.0.1:{redis}", "taskQueue": "q", "namespace": "shop"},
}
# Those that say a credential only to somebody who speaks their protocol, or who can check a signature: tests on real servers see them used.
UNHEARD = {"cassandra", "etcd", "external", "external-push", "kafka", "apache-kafka", "mongodb", "mssql", "mysql", "temporal"}
# What else a credential parameter needs to be used: metadata, and parameters of the TriggerAuthentication; of a type, else of all.
LOGIN = ({}, {"username": "me"})
BASIC = ({"authModes": "basic"}, {"username": "me"})
COMPANIONS = {
    "bearerToken": ({"authModes": "bearer"}, {}),
    "apiKey": ({"authModes": "apiKey", "keyParamName": "X-Key"}, {}),
    "customAuthValue": ({"authModes": "custom"}, {"customAuthHeader": "X-Custom"}),
    "clientSecret": ({"authModes": "oauth"}, {"oauthTokenURI": "http://127.0.0.1:{http}/{case}", "clientID": "me"}),
    "key": ({"authModes": "tls"}, {"cert": "x"}),
    **{(kind, "password"): BASIC for kind in ("prometheus", "metrics-api", "inference", "loki", "arangodb", "graphite", "pulsar")},
    **{(kind, "password"): LOGIN for kind in ("elastic-forecast", "elasticsearch", "opensearch", "rabbitmq", "etcd",
                                               "solace-direct-messaging", "splunk")},
    **{(kind, "password"): ({"sasl": "plaintext"}, {"username": "me"}) for kind in ("kafka", "apache-kafka")},
    ("elastic-forecast", "apiKey"): ({}, {}), ("elasticsearch", "apiKey"): ({}, {}), ("temporal", "apiKey"): ({}, {}),
    ("github-runner", "appKey"): ({"applicationID": "1", "installationID": "2"}, {}),
    ("openstack-metric", "password"): ({}, {"authURL": PLAIN, "userID": "u"}),
    ("openstack-metric", "appCredentialSecret"): ({}, {"authURL": PLAIN, "appCredentialID": "a"}),
    ("openstack-swift", "password"): ({}, {"authURL": PLAIN, "userID": "u", "projectID": "p"}),
    ("openstack-swift", "appCredentialSecret"): ({}, {"authURL": PLAIN, "appCredentialID": "a"}),
    ("splunk", "apiToken"): LOGIN,
    ("predictkube", "bearerToken"): ({"authModes": "bearer"}, {"apiKey": "a.b.c"}),
    ("predictkube", "password"): ({"authModes": "basic"}, {"username": "me", "apiKey": "a.b.c"}),
    ("selenium-grid", "password"): ({}, {"username": "me", "authType": "Basic"}),
    ("selenium-grid", "accessToken"): ({}, {"authType": "Bearer"}),
}
VALUES = {  # of parameters that are not taken as any text
    "connection": "postgresql://app:{canary}@127.0.0.1:{postgres}/{case}?sslmode=disable",
    **dict.fromkeys(("key", "appKey", "clientKey", "tlsClientKey"), PEM),
    ("clickhouse", "connectionString"): "clickhouse://me:{canary}@127.0.0.1:{redis}/d",
    ("couchdb", "connectionString"): "http://me:{canary}@127.0.0.1:{http}",
    ("mongodb", "connectionString"): "mongodb://me:{canary}@127.0.0.1:{redis}/d",
    ("mssql", "connectionString"): "sqlserver://me:{canary}@127.0.0.1:{redis}?database=d",
    ("mysql", "connectionString"): "me:{canary}@tcp(127.0.0.1:{redis})/d",
    ("rabbitmq", "host"): "http://me:{canary}@127.0.0.1:{http}/",
}
UNSPOKEN = {"key", "keyPassword", "clientSecret", "endpointParams", "appKey", "clientKey", "tlsClientKey"}  # used, but never said in words
UNUSED = {  # in the block of sign-ins, but without effect for that type; or of a server that is asked later than one that fails here
    ("metrics-api", "customAuthValue"), ("prometheus", "apiKey"), ("arangodb", "customAuthValue"), ("arangodb", "apiKey"),
    ("loki", "apiKey"), ("loki", "customAuthValue"), ("predictkube", "apiKey"), ("predictkube", "customAuthValue"),
    ("elastic-forecast", "apiKey"), ("elasticsearch", "apiKey"),  # said to Elastic's own cloud only
    ("redis-sentinel", "password"), ("redis-sentinel-streams", "password"),
}


def of(table, kind, parameter, otherwise):
    return table.get((kind, parameter), table.get(parameter, otherwise))


WAYS = {"metadata": ["plain"], "environment": ["value", "secretKeyRef", "configMapKeyRef"],
        "authentication": ["secretTargetRef", "env", "configMapTargetRef"]}


def credential_parameters(kind):
    """(name, ways) of each parameter of that type that is a secret by its table."""
    said = subprocess.run([str(WEIR), "triggers", kind], capture_output=True, text=True, check=True).stdout
    for name, places in re.findall(r"^  (\w+)(?: \(or [^)]*\))?\n      secret, from ([a-z, ]+?)(?:, required|, default.*)?\n", said, re.M):
        yield name, [way for place in places.split(", ") for way in WAYS[place]]


class Case:
    """One object with one planted credential."""
    count = itertools.count()

    def __init__(self, kind, parameter, way, value=None, companions=None, metadata=None):
        self.id = f"c{next(Case.count)}"
        self.kind, self.parameter, self.way = kind, parameter, way
        self.canary = f"kanarie{self.id}+x/y:z"
        self.value = value or of(VALUES, kind, parameter, "{canary}")
        needed, self.auth = companions or of(COMPANIONS, kind, parameter, ({}, {}))
        self.metadata = {**BASES[kind], **needed, **(metadata or {})}
        if parameter in ("connection", "connectionString", "host"):  # it says all of this itself
            for name in ("host", "port", "userName", "username", "sslmode", "database") + (() if kind == "couchdb" else ("dbName",)):
                self.metadata.pop(name, None)

    def fill(self, text, ports):
        # in an address it is written as addresses are
        canary = urllib.parse.quote(self.canary, safe="") if "://" in text or parameter_in_query(text) else self.canary
        return text.replace("{canary}", canary).replace("{case}", self.id).replace("{}", self.canary).format_map(ports)

    def manifests(self, ports):
        value = self.fill(self.value, ports)
        metadata = {key: self.fill(text, ports) for key, text in self.metadata.items()}
        auth = {key: self.fill(text, ports) for key, text in self.auth.items()}
        env, references, extra = [], {}, []
        if self.way == "plain":
            metadata[self.parameter] = value
        elif self.way in ("value", "secretKeyRef", "configMapKeyRef"):
            metadata[self.parameter + "FromEnv"] = "PLANTED"
            env = [{"name": "PLANTED", "value": value}] if self.way == "value" else \
                [{"name": "PLANTED", "valueFrom": {self.way: {"name": self.id, "key": "it"}}}]
        elif self.way == "env":
            env = [{"name": "PLANTED", "value": value}]
            references["env"] = [{"parameter": self.parameter, "name": "PLANTED"}]
        else:
            references[self.way] = [{"parameter": self.parameter, "name": self.id, "key": "it"}]
        if auth:
            references.setdefault("configMapTargetRef", []).extend({"parameter": key, "name": self.id + "-more", "key": key} for key in auth)
        trigger = {"type": self.kind, "name": "planted", "metadata": metadata}
        if references:
            trigger["authenticationRef"] = {"name": self.id}
            extra.append({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": self.id}, "spec": references})
        if self.way in ("secretKeyRef", "secretTargetRef"):
            extra.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.id}, "stringData": {"it": value}})
        if self.way in ("configMapKeyRef", "configMapTargetRef"):
            extra.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.id}, "data": {"it": value}})
        extra.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.id + "-more"}, "data": auth or {"none": ""}})
        container = {"name": "main", "image": "x", "command": ["sleep", "1"], "env": env}
        template = {"metadata": {"labels": {"app": self.id}}, "spec": {"containers": [container]}}
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": self.id},
                    "spec": {"replicas": 0, "selector": {"matchLabels": {"app": self.id}}, "template": template}}
        scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
                  "metadata": {"name": self.id, "annotations": {"weir.dev/polling-interval": "1s"}},
                  "spec": {"scaleTargetRef": {"name": self.id}, "minReplicaCount": 0, "triggers": [trigger]}}
        return extra + [workload, scaled]


def parameter_in_query(text):
    return text.startswith("client_secret=")


def all_cases():
    cases = []
    for kind in built_in():
        assert kind in BASES, f"{kind} is new: say in BASES how it is asked"
        for parameter, ways in credential_parameters(kind) if BASES[kind] else ():
            cases += [Case(kind, parameter, way) for way in ways]
    address = "http://me:{canary}@127.0.0.1:{http}/{case}"
    cases += [
        Case("prometheus", "serverAddress", "plain", address), Case("metrics-api", "url", "plain", address),
        Case("inference", "url", "plain", address),
        Case("metrics-api", "url", "plain", HTTP + "?token={canary}"),
        Case("prometheus", "customHeaders", "plain", "X-Secret={canary}"),
        Case("metrics-api", "apiKey", "secretTargetRef", companions=({"authModes": "apiKey", "method": "query"}, {})),
        Case("metrics-api", "endpointParams", "secretTargetRef", "client_secret={canary}",
             companions=({"authModes": "oauth"}, {"oauthTokenURI": HTTP, "clientID": "me", "clientSecret": "other"})),
        Case("postgresql", "connection", "secretTargetRef",
             "host=127.0.0.1 port={postgres} user=app password={canary} dbname={case} sslmode=disable"),
    ]
    return cases


# ---- sources that say what they were told


class Echo:
    """What it says of a secret: as it is, in base64, percent-encoded, and as a part of what came, in turn."""

    def __init__(self, cases):
        self.cases = {case.id: case for case in cases}
        self.seen, self.turns = set(), itertools.count()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.http.daemon_threads = True
        self.redis, self.postgres = self.listen(self.talk_redis), self.listen(self.talk_postgres)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.ports = {"http": self.http.server_port, "redis": self.redis.getsockname()[1], "postgres": self.postgres.getsockname()[1]}

    def told(self, text):
        """Notes whose canaries are in it."""
        decoded = urllib.parse.unquote_plus(text) + "".join(decode_basic(word) for word in re.findall(r"Basic (\S+)", text))
        found = set(re.findall(r"kanarie(c\d+)\+x/y:z", text + decoded + urllib.parse.unquote(text)))
        self.seen |= found
        return [self.cases[name].canary for name in found]

    def words(self, text):
        turn = next(self.turns)
        secrets = self.told(text) or ["nothing"]
        forms = [lambda s: s, lambda s: base64.b64encode(s.encode()).decode(), lambda s: urllib.parse.quote(s, safe=""),
                 lambda s: urllib.parse.quote(s, safe="").lower(), lambda s: "me:" + s, lambda s: base64.b64encode(f"me:{s}".encode()).decode(),
                 lambda s: json.dumps({"password": s}), lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
                 lambda s: "x" * 70 + s]
        return " ".join(forms[turn % len(forms)](secret) for secret in secrets)

    def handler(echo):  # pylint: disable=no-self-argument
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                words = echo.words(self.path + "\n" + str(self.headers) + "\n" + self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                turn = next(echo.turns) % 6
                body = {0: words, 1: words, 2: words, 3: json.dumps({"status": "error", "error": words}),
                        4: json.dumps({"value": words, "data": {"result": [{"value": [0, words]}]}}), 5: words}[turn]
                self.send_response({0: 401, 1: 500, 2: 200, 3: 400, 4: 200, 5: 302}[turn])
                if turn == 5:
                    self.send_header("Location", "http://127.0.0.1:9/" + urllib.parse.quote(words))
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET

            def log_message(self, *_):
                pass
        return Handler

    @staticmethod
    def listen(talk):
        server = socket.create_server(("127.0.0.1", 0))

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return server

    def talk_redis(self, connection):
        with connection, contextlib.suppress(OSError):  # other protocols' clients hang up on what they hear
            while data := connection.recv(4096):
                connection.sendall(f"-ERR you said {self.words(data.decode(errors='replace'))}\r\n".encode())

    def talk_postgres(self, connection):
        def message(kind, payload):
            return kind + struct.pack("!i", len(payload) + 4) + payload

        with connection:
            connection.recv(4096)
            connection.sendall(message(b"R", struct.pack("!i", 3)))  # the password as it is
            said = self.words(connection.recv(4096).decode(errors="replace"))
            connection.sendall(message(b"E", b"SFATAL\0C28P01\0Mpassword authentication failed: " + said.encode() + b"\0\0"))

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.redis.close()
        self.postgres.close()


def decode_basic(word):
    try:
        return base64.b64decode(word).decode()
    except ValueError:
        return ""


# ---- everything Weir says


def read_stream(w, into, seconds):
    connection = UnixConnection(w.data / "weir.sock")
    end = time.monotonic() + seconds
    try:
        connection.request("GET", "/api/v1/stream")
        answer = connection.getresponse()
        while (chunk := answer.read1(65536)) and time.monotonic() < end:
            into.append(chunk)
    except OSError:
        pass
    finally:
        connection.close()


def get_paths(names):
    paths = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["paths"]
    for path, methods in paths.items():
        if "get" not in methods or path == "/api/v1/stream":
            continue
        for name in names if "{name}" in path else [""]:
            yield path.replace("{namespace}", "default").replace("{name}", name)
    yield from ("/", "/metrics", "/healthz", "/readyz")


def what_if(w, name):
    connection = UnixConnection(w.data / "weir.sock")
    connection.request("POST", f"/api/v1/objects/default/{name}/what-if", body=json.dumps({"values": {"planted": {"value": 3}}}),
                       headers={"Content-Type": "application/json"})
    return connection.getresponse().read()


def leaks_in(place, found):
    found = found if isinstance(found, bytes) else found.encode()
    for form in FORMS:
        at = found.lower().find(form) if form == WORD else found.find(form)
        if at >= 0:
            return [f"{place}: {found[max(0, at - 120):at + 60]!r}"]
    return []


@pytest.fixture
def planted(weir, tmp_path):
    cases = all_cases()
    echo = Echo(cases)
    w = weir("--log-level", "debug", "--record", tmp_path / "recording")
    for case in cases:
        w.write(f"{case.id}.yaml", yaml.safe_dump_all(case.manifests(echo.ports)))
    yield w, cases, echo
    echo.close()


def polled(w, case):
    """Often enough that a source said all it has to say; where a client library gives up slowly, once."""
    return w.object(case.id).get("polls", 0) >= (1 if case.kind in UNHEARD else 9)


def test_no_credential_comes_out(planted, tmp_path):
    w, cases, echo = planted
    said = []
    w.start()
    stream = threading.Thread(target=read_stream, args=(w, said, 15))
    stream.start()
    wait_for(lambda: all(polled(w, case) for case in cases), 150, 2)
    leaks = []
    for path in get_paths([case.id for case in cases]):
        leaks += leaks_in(f"GET {path}", w.get(path))
    for case in cases:
        leaks += leaks_in(f"what-if {case.id}", what_if(w, case.id))
        for command in (["explain", case.id], ["explain", case.id, "-o", "json"]):
            ran = w.cli(*command)
            leaks += leaks_in(f"weir {' '.join(command)}", ran.stdout + ran.stderr)
    for command in (["get"], ["get", "-o", "json"]):
        ran = w.cli(*command)
        leaks += leaks_in(f"weir {' '.join(command)}", ran.stdout + ran.stderr)
    stream.join()
    assert said, "the stream says nothing"
    leaks += leaks_in("stream", b"".join(said))
    w.stop()
    leaks += leaks_in("log", w.log_text())
    for path in w.data.glob("journal.db*"):
        leaks += leaks_in(path.name, path.read_bytes())
    recordings = list((tmp_path / "recording").glob("*.gz"))
    assert recordings
    for path in recordings:
        leaks += leaks_in(path.name, gzip.decompress(path.read_bytes()))
    about = "\n".join(f"{c.id}: {c.kind} {c.parameter} by {c.way}" for c in cases if any(re.search(rf"\b{c.id}\b", leak) for leak in leaks))
    assert not leaks, "\n".join(leaks[:40]) + "\n" + about


def test_the_test_would_see_it(planted):
    """The credentials are used: those that can be sent in words were told to a source, and its answers were read."""
    w, cases, echo = planted
    w.start()
    here = built_in()
    sent = {case.id: f"{case.kind} {case.parameter} by {case.way}" for case in cases if case.kind in here
            if case.parameter not in UNSPOKEN and case.kind not in UNHEARD and (case.kind, case.parameter) not in UNUSED}
    wait_for(lambda: sent.keys() <= echo.seen or all(polled(w, case) for case in cases), 150, 2)
    assert not (missed := [name for case, name in sent.items() if case not in echo.seen]), "\n".join(missed)
    assert " level=debug msg=answered " in w.log_text()
    assert leaks_in("", base64.b64encode(b"me:" + cases[0].canary.encode())) and leaks_in("", urllib.parse.quote(cases[0].canary))


@pytest.mark.parametrize("form", ["text", "json"])
def test_lint_shows_none(planted, form):
    w, cases, _ = planted
    ran = subprocess.run([str(WEIR), "lint", "-o", form, str(w.manifests)], capture_output=True, text=True, check=False)
    assert not leaks_in("lint", ran.stdout + ran.stderr)


def test_what_the_past_is_asked_with_does_not_come_out(planted, tmp_path):
    w, cases, _ = planted
    for number, case in enumerate(case for case in cases if case.kind == "prometheus"):
        ran = subprocess.run([str(WEIR), "record", "--manifest", str(w.manifests / f"{case.id}.yaml"), "--from", "10s", "--step", "1s",
                              "--out", str(tmp_path / f"out{number}")], capture_output=True, text=True, check=False)
        assert not leaks_in(f"{case.parameter} by {case.way}", ran.stdout + ran.stderr)
