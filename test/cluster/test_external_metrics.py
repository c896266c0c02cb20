"""external.metrics.k8s.io through the real aggregator: what the HPA controller, kubectl and people get, who may ask, and certificates
that change while it runs."""
import json
import re
import ssl
import statistics
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import ApiError, path_of
from external import API_SERVICE, GROUP, VERSION, Registration
from namespace import deployment
from support.waiting import free_port, wait_for


def scaled_object(url, name="web", triggers=None, **spec):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name},
            "spec": {"scaleTargetRef": {"name": name}, "pollingInterval": 1, "minReplicaCount": 1, "maxReplicaCount": 20,
                     "triggers": triggers or [{"type": "metrics-api",
                                               "metadata": {"url": url, "valueLocation": "value", "targetValue": "5"}}], **spec}}


class External(Registration):
    """One Weir behind the APIService."""

    def __init__(self, plane, weir):
        super().__init__(plane)
        self.weir = weir("--mode", "hpa", *self.options)
        self.register(self.weir)

    def metric(self, namespace, metric, name="web", **more):
        return self.api.get(f"{VERSION}/namespaces/{namespace.name}/{metric}", labelSelector=f"scaledobject.keda.sh/name={name}", **more)

    def refusal(self, namespace, metric, query):
        with pytest.raises(ApiError) as err:
            self.api.get(f"{VERSION}/namespaces/{namespace.name}/{metric}", **query)
        return err.value

    def direct(self, path, token=None, user=None):
        """Past the API server: status and text."""
        context = ssl._create_unverified_context()  # noqa: S323
        if user:
            context.load_cert_chain(*map(str, self.plane.identity(user)[1:]))
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as reply:  # noqa: S310
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as err:
            return err.code, err.read().decode()

    def certificate(self):
        return ssl.get_server_certificate(("127.0.0.1", self.port))


@pytest.fixture
def external(plane, weir):
    made = External(plane, weir)
    yield made
    made.close()


def metric_names(namespace, name="web"):
    return wait_for(lambda: (namespace.get("scaledobjects", name) or {}).get("status", {}).get("externalMetricNames"))


def start_object(namespace, source, value, **options):
    source.value = value
    namespace.create("deployments", deployment("web", 1))
    namespace.create("scaledobjects", scaled_object(source.url, **options))
    return metric_names(namespace)[0]


def test_a_real_hpa_follows(external, namespace, source):
    """Up and down with the value; and what it cannot get stands in its condition."""
    metric = start_object(namespace, source, 16, advanced={"horizontalPodAutoscalerConfig": {
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}})
    namespace.wait_ready(4, "web")
    source.value = 40
    namespace.wait_ready(8, "web")
    source.value = 9
    namespace.wait_ready(2, "web")
    source.status = 500
    said = wait_for(lambda: next((c["message"] for c in namespace.get("horizontalpodautoscalers", "keda-hpa-web")["status"]["conditions"]
                                  if c["type"] == "ScalingActive" and c["status"] == "False"), None))
    assert f"rpc error: code = Unknown desc = error when getting metric values metric:{metric} encountered error" in said
    assert namespace.replicas("web") == 2


def test_what_is_answered(external, namespace, source):
    metric = start_object(namespace, source, 16.25)
    wait_for(lambda: external.metric(namespace, metric)["items"][0]["value"] == "16250m")
    answer = external.metric(namespace, metric.upper())
    item = answer["items"][0]
    assert (answer["kind"], answer["apiVersion"], answer["metadata"]) == ("ExternalMetricValueList", "external.metrics.k8s.io/v1beta1", {})
    assert (item["metricName"], item["metricLabels"]) == (metric, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item["timestamp"])
    own = "scaledobject.keda.sh/name"
    for query, status, said in [
        ({}, 500, "scaledObject name is not specified"),
        ({"labelSelector": "a=b"}, 500, "scaledObject name is not specified"),
        ({"labelSelector": f"{own}!=web"}, 500, "invalid selector: ["),
        ({"labelSelector": f"{own} in (web)"}, 500, "invalid selector: ["),
        ({"labelSelector": "a in ("}, 400, ""),
        ({"labelSelector": f"{own}=nobody"}, 500, 'ScaledObject.keda.sh "nobody" not found'),
        ({"labelSelector": f"{own}=web", "watch": "true"}, 405, ""),
    ]:
        refused = external.refusal(namespace, metric, query)
        assert refused.status == status and said in refused.message, (query, refused)
    refused = external.refusal(namespace, "s7-nothing", {"labelSelector": f"{own}=web"})
    assert refused.status == 500 and "no matching metrics found for s7-nothing" in refused.message


def test_discovery(external, plane):
    """The one resource that stands for all metrics, both ways of discovery, and OpenAPI merged into the API server's."""
    assert external.api.get(GROUP)["preferredVersion"]["version"] == "v1beta1"
    resources = external.api.get(VERSION)["resources"]
    assert resources == [{"name": "externalmetrics", "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}]
    wait_for(lambda: "ExternalMetricValueList" in plane.kubectl("api-resources", "--api-group=external.metrics.k8s.io"))
    assert "external.metrics.k8s.io/v1beta1" in plane.kubectl("api-versions")
    wait_for(lambda: "openapi" in (external.api.find("/openapi/v3" + VERSION) or {}), 60)
    wait_for(lambda: "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList" in external.api.get("/openapi/v2")["definitions"], 60)
    for path in ("/healthz", "/livez", "/readyz"):
        assert external.direct(path) == (200, "ok")


def test_who_may_ask(external, namespace, source, plane):
    """Anonymous: nobody; a token: what RBAC says; a client's certificate: likewise; users of the API server by its front proxy."""
    metric = start_object(namespace, source, 5)
    path = f"{VERSION}/namespaces/{namespace.name}/{metric}?labelSelector=scaledobject.keda.sh/name%3Dweb"
    wait_for(lambda: external.direct(path, user="admin")[0] == 200)
    assert external.direct(path)[0] == 403
    assert external.direct(path, token="nobody-s-token")[0] == 401
    namespace.create("serviceaccounts", {"metadata": {"name": "reader"}})
    token = external.api.post(namespace.path("serviceaccounts", "reader", "token"),
                              {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})["status"]["token"]
    status, text = external.direct(path, token=token)
    assert status == 403 and f"system:serviceaccount:{namespace.name}:reader" in json.loads(text)["message"]
    namespace.create("roles", {"metadata": {"name": "reader"}, "rules": [
        {"apiGroups": ["external.metrics.k8s.io"], "resources": [metric], "verbs": ["list"]}]})
    namespace.create("rolebindings", {"metadata": {"name": "reader"}, "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace.name}]})
    wait_for(lambda: external.direct(path, token=token)[0] == 200, 20)  # what was refused is remembered for ten seconds
    assert external.direct(path.replace(metric, "s1-other"), token=token)[0] == 403
    assert "token" not in external.weir.log_text() and token[:20] not in external.weir.log_text()
    stranger = plane.user("stranger")
    assert plane.kubectl("get", "--raw", path, "--kubeconfig", stranger, check=False).returncode != 0


def test_reviews_are_few(external, namespace, source, plane):
    """The HPA controller may read all metrics: it is asked for once in ten seconds, not once a metric."""
    source.value = 5
    for i in range(20):
        namespace.create("deployments", deployment(f"web-{i}", 1))
        namespace.create("scaledobjects", scaled_object(source.url, f"web-{i}"))
    for i in range(20):
        wait_for(lambda i=i: (namespace.get("horizontalpodautoscalers", f"keda-hpa-web-{i}") or {}).get("status", {}).get("currentMetrics"))
    mark = plane.audit_mark()
    time.sleep(11)
    assert len(plane.audit(mark, user="weir-a", resource="subjectaccessreviews")) <= 4


def test_a_namespace_is_deleted_while_it_is_served(external, namespace, source):
    start_object(namespace, source, 5)
    namespace.wait_ready(1, "web")
    namespace.gone()
    began = time.monotonic()
    wait_for(lambda: external.api.find(path_of("namespaces", name=namespace.name)) is None, 60)
    print(f"namespace gone after {time.monotonic() - began:.1f} s")
    namespace.api.post(path_of("namespaces"), {"metadata": {"name": namespace.name}})  # for the fixture's end


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_certificates_change_without_a_restart(external, namespace, source, how):
    """A new one is served at once, the API server is told whom to trust, and values go on."""
    metric = start_object(namespace, source, 5)
    wait_for(lambda: external.metric(namespace, metric)["items"])
    secret = path_of("secrets", "default", "weir-certs")
    before, bundle = external.certificate(), external.api.get(API_SERVICE)["spec"]["caBundle"]
    if how == "deleted":
        external.api.delete(secret)
    else:
        external.api.patch(secret, {"data": {key: "Z2FyYmFnZQ==" for key in ("ca.crt", "ca.key", "tls.crt", "tls.key")}})
    wait_for(lambda: external.certificate() != before)
    wait_for(lambda: external.api.find(secret) and external.api.get(secret)["data"]["ca.crt"] == external.api.get(API_SERVICE)["spec"]["caBundle"])
    assert (external.api.get(API_SERVICE)["spec"]["caBundle"] == bundle) == (how == "deleted")
    source.value = 77
    wait_for(lambda: external.plane.served(VERSION) and external.metric(namespace, metric)["items"][0]["value"] == "77")
    wait_for(external.available)


def test_two_weirs_share_one_certificate(external, weir, namespace, source):
    port = free_port()
    other = weir("--mode", "hpa", "--external-metrics", f"127.0.0.1:{port}", "--metrics-server-service-name", "weir-metrics", user="weir-b")
    wait_for(lambda: "listening over TLS" in other.log_text())
    assert ssl.get_server_certificate(("127.0.0.1", port)) == external.certificate()


def times_ms(ask, count=500):
    took = []
    for _ in range(count):
        began = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - began))
    return sorted(took)


def test_answers_are_quick(external, namespace, source):
    """The time of a GET through the API server, with objects around that nobody asks for, beside one that it answers alone."""
    count = 200
    metric = start_object(namespace, source, 5)

    def create(i):
        namespace.create("scaledobjects", scaled_object(source.url, f"idle-{i}", minReplicaCount=0, pollingInterval=600))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(count)))
    wait_for(lambda: external.metric(namespace, metric)["items"])
    alone = times_ms(lambda: namespace.get("scaledobjects", "web"))
    through = times_ms(lambda: external.metric(namespace, metric))
    for what, took in ("alone", alone), ("through", through):
        print(f"{what}: median {statistics.median(took):.2f} ms, p99 {took[495]:.2f} ms, most {took[-1]:.2f} ms")
    assert statistics.median(through) < 4 * statistics.median(alone) + 5
