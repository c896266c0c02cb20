"""Who may ask Weir in a cluster, and what pausing by hand is there: accounts and what RBAC allows them, KEDA's annotation, events."""
import http.client
import json

import pytest

from namespace import deployment, manifest_of
from rows import PAUSED, metrics_api, scaled_object
from support.waiting import free_port, wait_for
from support.weir import Running

VIEWER = "weir-test-viewer"


@pytest.fixture
def shop(namespace, plane, source, tmp_path):
    """shop(*options): a Weir at an address that others can reach, and an object of two replicas that it looks after."""
    made = []

    def make(*options):
        source.value = 2
        namespace.create("deployments", deployment("web", 2))
        namespace.create("scaledobjects", scaled_object(metrics_api(source)))
        weir = Running(tmp_path, "--kubeconfig", plane.kubeconfig("weir-a"), "--watch-namespace", namespace.name, *options)
        weir.listen = f"0.0.0.0:{free_port()}"
        made.append(weir.start())
        wait_for(lambda: weir.object("web", namespace.name).get("wantedReplicas") == 2)
        return weir

    yield make
    for weir in made:
        weir.stop()


@pytest.fixture
def account(namespace, plane):
    """account(name): a token of a service account."""

    def make(name):
        namespace.create("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        return namespace.kubectl("create", "token", name).strip()

    return make


def allow(namespace, name, *rules):
    """The account may ask these: (verbs, paths)."""
    role = f"{VIEWER}-{namespace.name}-{name}"
    namespace.apply(manifest_of(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role},
         "rules": [{"nonResourceURLs": paths, "verbs": verbs} for verbs, paths in rules]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
         "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace.name}]}))


def ask(weir, path, token=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", int(weir.listen.rsplit(":", 1)[1]), timeout=20)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_rbac_says_who_may_look(namespace, shop, account):
    weir = shop()
    token = account("reader")
    assert ask(weir, "/api/v1/session")[0] == 401
    assert ask(weir, "/api/v1/session", "nobody-s-token")[0] == 401
    assert ask(weir, "/healthz")[0] == 200
    status, text = ask(weir, "/api/v1/session", token)
    user = f"system:serviceaccount:{namespace.name}:reader"
    assert status == 403 and f"{user} may not get /weir/api/v1/session" in json.loads(text)["error"]
    allow(namespace, "reader", (["get"], ["/weir/api/v1/*"]))
    wait_for(lambda: ask(weir, "/api/v1/session", token)[0] == 200, 25)  # what was refused is remembered for ten seconds
    session = json.loads(ask(weir, "/api/v1/session", token)[1])
    assert session["user"] == user and session["platform"] == "kubernetes" and session["canAct"] is False
    assert ask(weir, f"/api/v1/objects/{namespace.name}/web", token)[0] == 200
    assert ask(weir, "/metrics", token)[0] == 403
    assert token not in weir.log_text()


def test_pausing_by_hand_is_kedas_annotation(namespace, shop, account, source):
    weir = shop("--allow-actions")
    token = account("operator")
    allow(namespace, "operator", (["get", "post"], ["/weir/api/v1/*"]))
    actions = f"/api/v1/objects/{namespace.name}/web/actions"

    def annotation():
        return namespace.get("scaledobjects", "web")["metadata"].get("annotations", {}).get(PAUSED)

    wait_for(lambda: ask(weir, f"{actions}/pause", token, "POST")[0] == 200, 25)
    assert annotation() == "true"
    wait_for(lambda: (namespace.condition("scaledobjects", "web", "Paused") or [""])[0] == "True")
    source.value = 5
    assert ask(weir, f"{actions}/refresh", token, "POST")[0] == 409
    assert namespace.replicas("web") == 2
    assert ask(weir, f"{actions}/resume", token, "POST") == (200, '{"done":true}')
    assert annotation() is None
    namespace.wait_ready(5, "web")
    wait_for(lambda: {"ActionRequested", "ScaledObjectPaused", "ScaledObjectUnpaused"} <= {reason for _, reason, _ in namespace.events("web")})
    lines = [line for line in weir.log_text().splitlines() if "msg=action " in line]
    assert [line.split("action=")[1].split()[0] for line in lines] == ["pause", "refresh", "resume"]
    assert all(f"who=system:serviceaccount:{namespace.name}:operator from=127.0.0.1:" in line for line in lines)


def test_a_weir_that_only_reads_pauses_nothing(namespace, shop, account):
    weir = shop("--allow-actions", "--read-only")
    token = account("operator")
    allow(namespace, "operator", (["post"], ["/weir/api/v1/*"]))
    actions = f"/api/v1/objects/{namespace.name}/web/actions"
    wait_for(lambda: "ClusterRole" not in ask(weir, f"{actions}/pause", token, "POST")[1], 25)  # until RBAC knows
    status, text = ask(weir, f"{actions}/pause", token, "POST")
    assert status == 403 and "only observed" in json.loads(text)["error"]
    assert PAUSED not in namespace.get("scaledobjects", "web")["metadata"].get("annotations", {})
