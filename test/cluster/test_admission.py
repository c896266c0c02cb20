"""The webhook behind a real API server: known cases, what people see, and that nobody is hindered when it is away.

Every case gets a namespace of its own. What exists already is created before the namespace is labelled for the webhook; the Weir that
answers is read-only, so that nothing else happens to the objects."""
import base64
import json
import time
from pathlib import Path

import pytest

from api import ApiError, path_of
from namespace import deployment, manifest_of
from support.waiting import free_ports, wait_for

CASES = Path(__file__).resolve().parent.parent / "vectors" / "data" / "webhook.jsonl"
LABEL = "test.weir.dev/admission"
RESOURCES = {
    "ScaledObject": ("keda.sh", "scaledobjects"), "ScaledJob": ("keda.sh", "scaledjobs"),
    "TriggerAuthentication": ("keda.sh", "triggerauthentications"),
    "ClusterTriggerAuthentication": ("keda.sh", "clustertriggerauthentications"),
    "CloudEventSource": ("eventing.keda.sh", "cloudeventsources"),
    "ClusterCloudEventSource": ("eventing.keda.sh", "clustercloudeventsources"),
}
BUILT_IN = {"Deployment": "deployments", "StatefulSet": "statefulsets", "HorizontalPodAutoscaler": "horizontalpodautoscalers"}
DENIED = "denied the request: "
SEEN_S = 5  # until a watch has told of what was just created


# ------------------------------------------------------------------ the webhook

def configuration(name, address, ca, policy="Fail"):
    """KEDA's, but for the address, and only for namespaces that ask for it."""
    def webhook(kind):
        group, resource = RESOURCES[kind]
        path = f"/validate-{group.replace('.', '-')}-v1alpha1-{kind.lower()}"
        client = {"url": f"https://{address}{path}"}
        if ca:
            client["caBundle"] = base64.b64encode(ca.encode()).decode()
        return {"name": f"v{kind.lower()}.kb.io", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": policy,
                "timeoutSeconds": 10, "clientConfig": client, "namespaceSelector": {"matchLabels": {LABEL: name}},
                "rules": [{"apiGroups": [group], "apiVersions": ["v1alpha1"], "operations": ["CREATE", "UPDATE"],
                           "resources": [resource]}]}

    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name},
            "webhooks": [webhook(kind) for kind in RESOURCES]}


class Webhook:
    """A Weir that answers, and the configuration that asks it."""

    def __init__(self, plane, weir, name, *options, policy="Fail"):
        self.plane, self.name = plane, name
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.weir = weir("--read-only", "--webhook", self.address, *options)
        ca = wait_for(lambda: next(iter(self.weir.data.rglob("ca.crt")), None)).read_text()
        plane.api.post(path_of("validatingwebhookconfigurations"), configuration(name, self.address, ca, policy))

    def label(self, namespace):
        """From now on the webhook is asked about this namespace: the API server has read the label, and the configuration."""
        self.plane.api.patch(path_of("namespaces", name=namespace), {"metadata": {"labels": {LABEL: self.name}}})
        always_refused = scaled_object("probe", "probe", idleReplicaCount=1, minReplicaCount=1)

        def is_asked():
            try:
                self.plane.api.post(path_of("scaledobjects", namespace) + "?dryRun=All", always_refused)
            except ApiError as err:
                return DENIED in err.message
            return False

        wait_for(is_asked, every_s=0.02)

    def close(self):
        self.plane.api.delete(path_of("validatingwebhookconfigurations", name=self.name))


CRON = {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "desiredReplicas": "2"}}


def scaled_object(name, target, **spec):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name},
            "spec": {"scaleTargetRef": {"name": target}, "triggers": [CRON], **spec}}


@pytest.fixture
def webhook(plane, weir):
    made = []

    def make(name, *options, **how):
        made.append(Webhook(plane, weir, name, *options, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ------------------------------------------------------------------ known cases

class Case:
    """One line of the file, in a namespace of its own."""

    def __init__(self, api, row, name):
        self.api, self.row, self.namespace = api, row, name
        self.wanted = row["expect"]["allowed"]
        self.rule = None  # why it may differ

    def path(self, object_):
        kind = object_["kind"]
        resource = BUILT_IN.get(kind) or RESOURCES[kind][1]
        return path_of(resource, None if kind.startswith("Cluster") else self.namespace)

    def placed(self, object_):
        """A copy in this case's namespace, with a name for what has none elsewhere."""
        copy = json.loads(json.dumps(object_))
        copy["metadata"]["namespace"] = self.namespace
        if copy["kind"].startswith("Cluster"):
            del copy["metadata"]["namespace"]
            copy["metadata"]["name"] = self.namespace
        return copy

    def exists(self):
        """Creates what is there before. false: it cannot be on a real cluster."""
        old = self.row["in"].get("oldObject")
        there = [old] if old else []
        there += [o for o in self.row["in"]["existing"]
                  if not (old and o["kind"] == old["kind"] and o["metadata"]["name"] == old["metadata"]["name"])]
        try:
            for object_ in there:
                self.api.post(self.path(object_), self.placed(object_))
        except ApiError as err:
            if err.status not in (400, 422):
                raise
            self.rule = "what exists beside it is refused by the API server itself"
        return self.rule is None

    def ask_once(self):
        """(admitted, the refusal's text)"""
        object_ = self.placed(self.row["in"]["object"])
        path = self.path(object_)
        query = "?dryRun=All" if self.row["in"].get("dryRun") else ""
        try:
            if self.row["in"]["operation"] == "update":
                path += "/" + object_["metadata"]["name"]
                object_["metadata"]["resourceVersion"] = self.api.get(path)["metadata"]["resourceVersion"]
                self.api.put(path + query, object_)
            else:
                self.api.post(path + query, object_)
                if not query and (not self.wanted or object_["kind"].startswith("Cluster")):
                    self.api.delete(path + "/" + object_["metadata"]["name"])
        except ApiError as err:
            return False, err.message
        return True, ""

    def run(self):
        """None, or why it failed."""
        limit = time.monotonic() + SEEN_S
        while True:
            admitted, text = self.ask_once()
            refused_early = not admitted and DENIED not in text
            if admitted == self.wanted or refused_early or time.monotonic() > limit:
                break
            time.sleep(0.1)
        if admitted == self.wanted:
            return None
        if refused_early:
            self.rule = "the CRD's schema refuses it before the webhook sees it"
        elif admitted and self.is_filled_in():
            self.rule = "the CRD's schema fills in a default before the webhook sees it"
        return None if self.rule else f"{self.row['id']}: admitted is {admitted}, wanted {self.wanted}: {text}"

    def is_filled_in(self):
        oauth2 = self.row["in"]["object"].get("spec", {}).get("oauth2")
        return bool(oauth2) and not oauth2.get("type")


def test_known_cases(plane, webhook):
    """Admitted and refused as KEDA does; what the API server itself refuses first deviates."""
    rows = [row for row in map(json.loads, CASES.read_text().splitlines()) if row["kind"] == "admission"]
    asked = webhook("cases", "--mode", "hpa")
    failures, deviating = [], {}
    for n, row in enumerate(rows):
        case = Case(plane.api, row, f"case-{n}")
        plane.api.post(path_of("namespaces"), {"metadata": {"name": case.namespace}})
        if case.exists():
            asked.label(case.namespace)
            failures += filter(None, [case.run()])
        if case.rule:
            deviating.setdefault(case.rule, []).append(row["id"])
        plane.api.delete(path_of("namespaces", name=case.namespace))
    for rule, ids in deviating.items():
        print(f"deviating, {rule}: {len(ids)}: {' '.join(ids)}")
    print(f"{len(rows) - len(failures) - sum(map(len, deviating.values()))} of {len(rows)} as KEDA")
    assert not failures, "\n".join(failures)
    assert len(rows) > 100 and sum(map(len, deviating.values())) < len(rows) / 4


# ------------------------------------------------------------------ what people see

def test_what_kubectl_says(namespace, webhook):
    """A refusal in KEDA's words, lint as warnings, and no waiting for an object on another workload."""
    webhook("words", "--mode", "hpa").label(namespace.name)
    namespace.create("deployments", deployment("web"))
    lacking = {"type": "prometheus", "metadata": {"serverAddress": "http://prom:9090", "threshold": "5"}}
    applied = namespace.kubectl("apply", "-f", "-", stdin=manifest_of(scaled_object("web", "web", triggers=[lacking])), check=False)
    assert "Warning: spec.triggers[0].metadata.query: " in applied.stderr and "created" in applied.stdout

    def refused():
        shown = namespace.kubectl("apply", "-f", "-", stdin=manifest_of(scaled_object("second", "web")), check=False)
        if shown.returncode == 0:
            namespace.delete("scaledobjects", "second")
        return shown.returncode != 0 and shown.stderr

    text = wait_for(refused)
    assert 'admission webhook "vscaledobject.kb.io" denied the request: the workload \'web\' of type \'apps/v1.Deployment\' is ' \
           "already managed by the ScaledObject 'web'" in text


def test_modes(namespace, webhook):
    """A formula without target: refused in hpa mode, admitted in direct mode, by flag and by annotation."""
    def formula(name, mode=None):
        made = scaled_object(name, name, triggers=[dict(CRON, name="c")],
                             advanced={"scalingModifiers": {"formula": "c > 1 ? 1 : 0", "activationTarget": "1"}})
        if mode:
            made["metadata"]["annotations"] = {"weir.dev/mode": mode}
        return made

    webhook("modes").label(namespace.name)
    namespace.create("scaledobjects", formula("plain"))
    with pytest.raises(ApiError, match="formula is given but target is empty"):
        namespace.create("scaledobjects", formula("strict", "hpa"))
    namespace.create("scaledobjects", formula("watched", "observe"))


def test_a_foreign_autoscaler(namespace, webhook):
    """Another HorizontalPodAutoscaler on the workload is a conflict until it says that it is nobody's."""
    webhook("foreign", "--mode", "hpa").label(namespace.name)
    namespace.create("deployments", deployment("web"))
    namespace.create("horizontalpodautoscalers", {"metadata": {"name": "by-hand"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}})

    def create():
        try:
            namespace.create("scaledobjects", scaled_object("web", "web"))
        except ApiError as err:
            return err.message
        namespace.delete("scaledobjects", "web")
        return ""

    wait_for(lambda: "is already managed by the hpa 'by-hand'" in create())
    namespace.annotate("horizontalpodautoscalers", "by-hand", **{"validations.keda.sh/hpa-ownership": "false"})
    wait_for(lambda: create() == "")


def test_a_finalizer_can_always_go(namespace, webhook):
    """An object that older rules admitted can be deleted, and edited no further."""
    asked = webhook("finalizers", "--mode", "hpa")
    namespace.create("scaledobjects", dict(scaled_object("old", "web", idleReplicaCount=1, minReplicaCount=1),
                                           metadata={"name": "old", "finalizers": ["finalizer.keda.sh"]}))
    asked.label(namespace.name)
    with pytest.raises(ApiError, match="IdleReplicaCount=1"):
        namespace.patch("scaledobjects", "old", {"spec": {"pollingInterval": 5}})
    namespace.delete("scaledobjects", "old")
    namespace.patch("scaledobjects", "old", {"metadata": {"finalizers": None}})
    wait_for(lambda: namespace.get("scaledobjects", "old") is None)


def counters(weir):
    """Name and labels, without what all begin with -> value."""
    prefix = "keda_webhook_scaled_object_"
    lines = [line for line in weir.get("/metrics").splitlines() if line.startswith(prefix)]
    return {line.removeprefix(prefix).rsplit(" ", 1)[0]: int(line.rsplit(" ", 1)[1]) for line in lines}


def test_the_counters(namespace, webhook):
    """KEDA's metrics of the webhook."""
    asked = webhook("counters", "--mode", "hpa")
    asked.label(namespace.name)
    before = counters(asked.weir)
    namespace.create("scaledobjects", scaled_object("a", "a"))
    with pytest.raises(ApiError):
        namespace.create("scaledobjects", scaled_object("b", "b", idleReplicaCount=4))
    after = counters(asked.weir)
    place = f'{{namespace="{namespace.name}",action="create"'
    reviews, errors = "validations_total" + place + "}", "validation_errors_total" + place + ',reason="incorrect-replicas"}'
    assert after[reviews] == before[reviews] + 2 and after[errors] == before[errors] + 1


# ------------------------------------------------------------------ when it is away

def test_nobody_is_hindered_when_weir_is_down(namespace, webhook):
    """Failure policy Ignore, as installed: what cannot be asked about is admitted."""
    asked = webhook("away", "--mode", "hpa", policy="Ignore")
    asked.label(namespace.name)
    bad = scaled_object("bad", "web", idleReplicaCount=1, minReplicaCount=1)
    with pytest.raises(ApiError, match="IdleReplicaCount"):
        namespace.create("scaledobjects", bad)
    asked.weir.kill()
    namespace.create("scaledobjects", bad)


def test_the_ca_is_weirs_to_write(plane, namespace, weir):
    """With its name given, the configuration gets the caBundle of the certificate that Weir made."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    plane.api.post(path_of("validatingwebhookconfigurations"), configuration("written", address, None))
    try:
        weir("--webhook", address, "--mode", "hpa", "--validating-webhook-name", "written", "--watch-namespace", namespace.name)
        plane.api.patch(path_of("namespaces", name=namespace.name), {"metadata": {"labels": {LABEL: "written"}}})

        def refusal():
            try:
                namespace.create("scaledobjects", scaled_object("bad", "web", idleReplicaCount=1, minReplicaCount=1))
            except ApiError as err:
                return err.message
            namespace.delete("scaledobjects", "bad")
            return ""

        wait_for(lambda: "IdleReplicaCount=1 must be less than MinReplicaCount=1" in refusal())
    finally:
        plane.api.delete(path_of("validatingwebhookconfigurations", name="written"))
