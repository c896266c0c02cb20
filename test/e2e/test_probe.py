"""weir probe: each trigger asked once, with its credentials; what is said of it, what would be decided, and that nothing else happens. And where it
may connect to."""
import base64
import json
import os
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import DEPLOYMENT, WEIR, need_type


class Api:
    """A server on loopback: paths -> (status, body) or a function of the request."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                api.asked.append(self)
                answer = api.answers.get(self.path.split("?")[0], (404, {"kind": "Status", "reason": "NotFound", "code": 404, "message": "no such path"}))
                status, body = answer(self) if callable(answer) else answer
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def with_token(request):
    """The queue's length, for who knows the word."""
    if request.headers.get("Authorization") == "Bearer sesame":
        return 200, {"waiting": 42}
    return 401, {"error": "who are you?"}


@pytest.fixture(name="api")
def fixture_api():
    api = Api({"/stats": (200, {"waiting": 42}), "/low": (200, {"waiting": 3}), "/secret": with_token, "/html": (200, b"<html>hello</html>"),
               "/api/v1/query": (200, {"status": "success", "data": {"resultType": "vector", "result": []}})})
    yield api
    api.close()


def probe(*arguments, text=None, env=None):
    return subprocess.run([str(WEIR), "probe", *map(str, arguments)], input=text, capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, **(env or {})})


def trigger(url, name="queue", more="", auth="", activation="0"):
    return f"""  - type: metrics-api
    name: {name}
    metadata: {{url: "{url}", valueLocation: waiting, targetValue: "10", activationTargetValue: "{activation}"{more}}}
{auth}"""


def manifest(triggers, extra=""):
    return f"""apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: app}}
spec:
  scaleTargetRef: {{name: app}}
  minReplicaCount: 0
  maxReplicaCount: 20
  triggers:
{triggers}{extra}"""


TOKEN = """---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {{name: api}}
spec: {{secretTargetRef: [{{parameter: token, name: api, key: token}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: api}}
stringData: {{token: {token}}}
"""
AUTH = "    authenticationRef: {name: api}\n"


def told(text, *arguments, status=0, **more):
    result = probe("-", "-o", "json", *arguments, text=text, **more)
    assert result.returncode == status, result.stdout + result.stderr
    return json.loads(result.stdout)["objects"]


def test_says_the_value_and_what_would_be_decided(api):
    [found] = told(manifest(trigger(api.url("/stats"))))
    [queue] = found["triggers"]
    assert found["object"] == "ScaledObject/default/app"
    assert (queue["name"], queue["type"], queue["state"], queue["value"], queue["target"], queue["active"], queue["wants"]) == (
        "queue", "metrics-api", "ok", 42, 10, True, 5)
    assert 0 <= queue["ageMs"] < 5000 and 0 <= queue["tookMs"] < 5000
    assert (found["replicas"], found["wants"]) == (0, 5)
    assert "asks for 5" in found["reason"]
    assert len(api.asked) == 1


@pytest.mark.parametrize("activation, active", [("2", True), ("3", False), ("4", False)])
def test_activation(api, activation, active):
    [found] = told(manifest(trigger(api.url("/low"), activation=activation)))
    assert found["triggers"][0]["active"] is active
    assert found["wants"] == (1 if active else 0)


def test_replicas_are_those_of_the_workload_or_as_told(api):
    text = DEPLOYMENT.format(name="app", replicas=3) + manifest(trigger(api.url("/stats")))
    assert [(o["replicas"], o["wants"]) for o in told(text)] == [(3, 5)]
    assert [(o["replicas"], o["wants"]) for o in told(text, "--replicas", "5")] == [(5, 5)]


def test_in_words(api):
    result = probe("-", text=manifest(trigger(api.url("/stats"))))
    assert result.returncode == 0
    assert "ScaledObject/default/app: would have 5 replicas, where 0 run by the files" in result.stdout
    assert "42 of 10, active, asks for 5" in result.stdout
    assert result.stderr == ""


def test_what_has_no_value_says_why(api):
    query = f"""  - type: prometheus
    name: empty
    metadata: {{serverAddress: "{api.url()}", query: up, threshold: "5"}}
"""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    [found] = told(manifest(query + trigger(api.url("/html"), "html") + trigger(nobody, "nobody") + trigger(api.url("/stats"))), status=1)
    empty, html, gone, queue = found["triggers"]
    assert empty["state"] == "missing" and "no series" in empty["note"] and "value" not in empty
    assert html["state"] == "failed" and "JSON" in html["error"]
    assert gone["state"] == "failed" and "refused" in gone["error"]
    assert queue["state"] == "ok" and found["wants"] == 5


def test_a_good_value_may_have_a_note(api):
    api.answers["/api/v1/query"] = (200, {"status": "success", "data": {"resultType": "vector", "result": []}})
    query = f"""  - type: prometheus
    name: empty
    metadata: {{serverAddress: "{api.url()}", query: up, threshold: "5", ignoreNullValues: "true"}}
"""
    [found] = told(manifest(query))
    assert (found["triggers"][0]["state"], found["triggers"][0]["value"]) == ("ok", 0)
    assert "no series" in found["triggers"][0]["note"]


def test_credentials_come_from_the_files(api):
    text = manifest(trigger(api.url("/secret"), more=", authMode: bearer", auth=AUTH))
    assert told(text + TOKEN.format(token="sesame"))[0]["triggers"][0]["value"] == 42
    [found] = told(text + TOKEN.format(token="open"), status=1)
    assert found["triggers"][0]["state"] == "failed" and "401" in found["triggers"][0]["error"]
    assert "open" not in json.dumps(found["triggers"])
    [found] = told(text, status=1)
    assert "there is no TriggerAuthentication default/api" in found["triggers"][0]["error"]


def test_variables_come_from_the_workload_else_from_who_asks_if_named(api):
    auth = """---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: api}
spec: {env: [{parameter: token, name: TOKEN}]}
"""
    text = manifest(trigger(api.url("/secret"), more=", authMode: bearer", auth=AUTH), auth)
    assert told(text, "--env", "OTHER,TOKEN", env={"TOKEN": "sesame"})[0]["triggers"][0]["value"] == 42
    api.asked.clear()
    for options in ((), ("--env", "TOKE,TOKENS")):
        [found] = told(text, *options, status=1, env={"TOKEN": "sesame"})
        assert found["triggers"][0]["state"] == "failed"
    assert api.asked == []
    workload = DEPLOYMENT.format(name="app", replicas=1).replace("        image:", "        env: [{name: TOKEN, value: sesame}]\n        image:")
    assert told(workload + text, env={"TOKEN": "wrong"})[0]["triggers"][0]["value"] == 42


def test_a_formula_decides_what_is_active(api):
    text = manifest(trigger(api.url("/stats"))).replace("  triggers:", '  advanced: {scalingModifiers: {formula: "queue / 2", target: "5"}}\n  triggers:', 1)
    [found] = told(text)
    assert (found["formula"], found["wants"]) == (21, 5)
    assert "active" not in found["triggers"][0] and found["triggers"][0]["value"] == 42


def test_one_trigger(api):
    text = manifest(trigger(api.url("/stats")) + trigger(api.url("/low"), "low"))
    for name in ("low", "s1"):
        api.asked.clear()
        [found] = told(text, "--trigger", name)
        assert [(t["name"], t["value"]) for t in found["triggers"]] == [("low", 3)]
        assert "wants" not in found
        assert [request.path for request in api.asked] == ["/low"]
    result = probe("-", "--trigger", "nope", text=text)
    assert result.returncode == 2 and "no trigger nope" in result.stderr


def test_a_job(api):
    text = f"""apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {{name: work}}
spec:
  jobTargetRef: {{template: {{spec: {{containers: [{{name: main, image: x, command: ["touch", "/tmp/weir-probe-ran"]}}]}}}}}}
  triggers:
{trigger(api.url("/stats"))}"""
    [found] = told(text)
    assert (found["object"], found["wants"]) == ("ScaledJob/default/work", 5)


def test_the_whole_is_bounded_and_says_who_was_late():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        begin = time.monotonic()
        [found] = told(manifest(trigger(url, more=', timeout: "20s"')), "--timeout", "700ms", status=1)
        assert time.monotonic() - begin < 5
    assert found["triggers"][0]["state"] == "failed" and "--timeout" in found["triggers"][0]["error"]


def test_bad_manifests_and_bad_usage(api, tmp_path):
    result = probe("-", "-o", "json", text=manifest(f'  - type: metrics-api\n    name: q\n    metadata: {{url: "{api.url("/stats")}"}}\n'))
    assert result.returncode == 1
    assert json.loads(result.stdout)["objects"][0]["triggers"][0]["state"] == "failed"
    assert "valueLocation" in result.stderr
    for arguments, text in [((), None), (("no-such-file.yaml",), None), (("-", "--timeout", "0s"), ""), (("-", "--replicas", "x"), ""),
                            (("-",), "kind: Service\napiVersion: v1\nmetadata: {name: x}\n"), (("-", "--deny-egress", "10.0.0.0/99"), "")]:
        assert probe(*arguments, text=text).returncode == 2, arguments
    assert probe("-", text="a: [").returncode == 1


def test_a_paused_object_is_not_asked(api):
    text = manifest(trigger(api.url("/stats"))).replace("metadata: {name: app}", 'metadata: {name: app, annotations: {autoscaling.keda.sh/paused: "true"}}', 1)
    [found] = told(text, status=1)
    assert "paused" in found["triggers"][0]["note"]
    assert api.asked == []


# ---- egress rules ----


def test_egress_rules_hold_by_default_for_metadata_services():
    for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "100.100.100.200"):
        [found] = told(manifest(trigger(f"http://{host}/latest")), status=1)
        assert "the egress rules let nothing go there" in found["triggers"][0]["error"]


def test_egress_rules_are_per_namespace(api):
    text = manifest(trigger(api.url("/stats"))).replace("{name: app}", "{name: app, namespace: shop}", 1) + "---\n" + manifest(trigger(api.url("/stats")))
    found = {o["object"]: o["triggers"][0] for o in told(text, "--deny-egress", "shop=loopback", status=1)}
    assert found["ScaledObject/default/app"]["state"] == "ok"
    assert "--deny-egress" in found["ScaledObject/shop/app"]["error"]
    found = {o["object"]: o["triggers"][0]["state"] for o in told(text, "--deny-egress", "all", "--allow-egress", "shop=127.0.0.1", status=1)}
    assert found == {"ScaledObject/default/app": "failed", "ScaledObject/shop/app": "ok"}


def test_egress_rules_follow_names_and_redirects(api):
    api.answers["/away"] = lambda request: (200, {"waiting": 1})

    def redirect(request):
        request.send_response(302)
        request.send_header("Location", "http://169.254.169.254/latest/meta-data")
        request.send_header("Content-Length", "0")
        request.end_headers()
        raise ConnectionAbortedError

    api.answers["/redirect"] = redirect
    [found] = told(manifest(trigger(api.url("/redirect"))), status=1)
    assert "169.254.169.254" in found["triggers"][0]["error"] and "egress" in found["triggers"][0]["error"]
    by_name = api.url("/stats").replace("127.0.0.1", "localhost")
    [found] = told(manifest(trigger(by_name)), "--deny-egress", "loopback", status=1)
    assert "localhost" in found["triggers"][0]["error"] and "egress" in found["triggers"][0]["error"]
    [found] = told(manifest(trigger(by_name)), "--deny-egress", "localhost", status=1)
    assert "egress" in found["triggers"][0]["error"]
    assert told(manifest(trigger(by_name)), "--deny-egress", "all", "--allow-egress", "localhost")[0]["triggers"][0]["state"] == "ok"


@pytest.mark.parametrize("kind, metadata", [
    ("redis", 'address: "localhost:{port}", listName: l'),
    ("postgresql", 'host: localhost, port: "{port}", userName: u, dbName: d, sslmode: disable, query: select 1, targetQueryValue: "1", passwordFromEnv: TOKEN'),
    ("mysql", 'host: localhost, port: "{port}", username: u, dbName: d, query: select 1, queryValue: "1", passwordFromEnv: TOKEN'),
    ("kafka", 'bootstrapServers: "localhost:{port}", consumerGroup: g, topic: t'),
    ("mongodb", """connectionStringFromEnv: MONGO, dbName: d, collection: c, query: '{{"a": 1}}', queryValue: "1\""""),
    ("rabbitmq", 'hostFromEnv: AMQP, queueName: q, mode: QueueLength, value: "1", protocol: amqp'),
])
@pytest.mark.parametrize("rule", ["loopback", "default=loopback"])
def test_egress_rules_hold_libraries(kind, metadata, rule):
    """Those that connect by themselves as well: nobody comes to the server."""
    need_type(kind)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = manifest(f"  - type: {kind}\n    metadata: {{{metadata.format(port=port)}}}\n")
        env = {"TOKEN": "x", "MONGO": f"mongodb://localhost:{port}", "AMQP": f"amqp://u:p@localhost:{port}"}
        [found] = told(text, "--deny-egress", rule, "--timeout", "10s", "--env", ",".join(env), status=1, env=env)
        assert found["triggers"][0]["state"] == "failed"
        assert f"its address is named by {rule} of --deny-egress" in found["triggers"][0]["error"]
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("kind, metadata", [
    ("redis-sentinel", 'addresses: "127.0.0.1:{port},localhost:{port}", sentinelMaster: m, listName: l'),
    ("postgresql", 'connectionFromEnv: PG, query: select 1, targetQueryValue: "1"'),
    ("kafka", 'bootstrapServers: "127.0.0.1:{port},localhost:{port}", consumerGroup: g, topic: t'),
    ("mongodb", """connectionStringFromEnv: MONGO, dbName: d, collection: c, query: '{{"a": 1}}', queryValue: "1\""""),
])
def test_egress_rules_judge_every_host_of_a_list(kind, metadata):
    """Not only the first one: the driver may turn to any."""
    need_type(kind)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.close()  # who asks the first one turns to the next at once
        env = {"PG": f"host=127.0.0.1,localhost port={port} dbname=d user=u sslmode=disable", "MONGO": f"mongodb://127.0.0.1:{port},localhost:{port}"}
        text = manifest(f"  - type: {kind}\n    metadata: {{{metadata.format(port=port)}}}\n")
        [found] = told(text, "--deny-egress", "localhost", "--timeout", "10s", "--env", ",".join(env), status=1, env=env)
        assert found["triggers"][0]["state"] == "failed"
        assert "its address is named by localhost of --deny-egress" in found["triggers"][0]["error"]


# ---- a cluster that is only read ----


def deployment(replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "default", "resourceVersion": "6", "generation": 1},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "app"}}, "template": {"metadata": {"labels": {"app": "app"}}, "spec": {}}},
            "status": {"replicas": replicas, "readyReplicas": replicas}}


def listed(kind, items):
    """A list; its watch says nothing for a while."""
    def answer(request):
        if "watch=1" in request.path:
            time.sleep(20)
            return 200, b""
        return 200, {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items}
    return answer


def test_in_a_cluster(api, tmp_path):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api", "namespace": "default", "resourceVersion": "5"},
              "data": {"token": base64.b64encode(b"sesame").decode()}}
    cluster = Api({
        "/apis/keda.sh/v1alpha1/namespaces/default/triggerauthentications/api": (200, {
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "api", "namespace": "default"},
            "spec": {"secretTargetRef": [{"parameter": "token", "name": "api", "key": "token"}]}}),
        "/api/v1/namespaces/default/secrets": listed("SecretList", [secret]),
        "/apis/apps/v1/deployments": listed("DeploymentList", [deployment(2)]),
        "/apis/apps/v1/namespaces/default/deployments": listed("DeploymentList", [deployment(2)]),
        "/stats": (200, {"waiting": 42}),
    })
    config = tmp_path / "config"
    config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "a",
                                  "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                                  "clusters": [{"name": "a", "cluster": {"server": cluster.url()}}], "users": [{"name": "a", "user": {"token": "x"}}]}))
    try:
        text = manifest(trigger(api.url("/secret"), more=", authMode: bearer", auth=AUTH))
        [found] = told(text, "--kubeconfig", config, "--timeout", "15s")
        assert found["triggers"][0]["value"] == 42
        assert (found["replicas"], found["wants"]) == (2, 4)  # scaling up is limited to twice as many
        assert {request.command for request in cluster.asked} == {"GET"}
        # The API itself is no trigger's to ask, though it is on loopback, which is allowed from outside the cluster.
        [found] = told(manifest(trigger(cluster.url("/stats"))), "--kubeconfig", config, status=1)
        assert "the cluster's own API" in found["triggers"][0]["error"]
        [found] = told(manifest(trigger(cluster.url("/stats"))), "--kubeconfig", config, "--allow-egress", f"127.0.0.1:{cluster.port}")
        assert found["triggers"][0]["value"] == 42
        # Nor is it by another name than the kubeconfig's, once Weir has been there.
        config.write_text(config.read_text().replace("127.0.0.1", "localhost"))
        text = manifest(trigger(cluster.url("/stats"), more=", authMode: bearer", auth=AUTH))
        [found] = told(text, "--kubeconfig", config, status=1)
        assert "the cluster's own API" in found["triggers"][0]["error"]
        # In a pod loopback is the pod's own, with a kubeconfig too.
        [found] = told(manifest(trigger(api.url("/stats"))), "--kubeconfig", config, status=1, env={"KUBERNETES_SERVICE_HOST": "192.0.2.7"})
        assert "a loopback address" in found["triggers"][0]["error"]
    finally:
        cluster.close()
