"""Installing: the chart and the plain YAML on a real API server, and a Weir that has exactly the rights and the flags they give."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from api import path_of
from namespace import deployment, manifest_of
from support.waiting import free_ports, wait_for
from support.weir import WEIR

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "deploy" / "helm" / "weir"
PLAIN = ROOT / "deploy" / "weir.yaml"
FOREIGN = ("Certificate", "Issuer", "ServiceMonitor", "PodMonitor", "PrometheusRule")  # of CRDs that this cluster has not
# Everything the values can turn on, in few sets.
SETS = {
    "defaults": [],
    "hpa": ["mode=hpa"],
    "observe": ["mode=observe", "readOnly=true"],
    "namespaced": ["watchNamespace={ns}", "crds.install=false"],
    "namespaced-hpa": ["watchNamespace={ns}", "mode=hpa", "externalMetrics.enabled=true", "webhooks.enabled=true"],
    "hpa-standby": ["mode=hpa", "replicaCount=2"],
    "standby": ["replicaCount=2", "podDisruptionBudget.minAvailable=1", "leaderElection.leaseDuration=10s",
                "leaderElection.renewDeadline=5s", "leaderElection.retryPeriod=1s"],
    "shards": ["sharding.enabled=true", "replicaCount=3", "watchLabelSelector=team in (a\\, b)"],
    "cert-manager": ["certificates.source=certManager", "mode=hpa", "metrics.serviceMonitor.enabled=true"],
    "monitored": ["metrics.podMonitor.enabled=true", "metrics.prometheusRule.enabled=true", "metrics.prometheusRule.kedaDashboard=true",
                  "metrics.grafanaDashboard.enabled=true", "logging.level=info\\,serve=debug"],
    "own-secret": ["certificates.source=secret", "certificates.caBundle=-----BEGIN CERTIFICATE-----", "mode=hpa"],
    "rights": ["rbac.secrets.{ns}={{a,b}}", "rbac.secretNamespaces={{{ns}}}", "rbac.serviceAccountTokens.{ns}={{reader}}",
               "rbac.aggregateToDefaultRoles=true", "rbac.scaleTargets.core={{replicationcontrollers}}", "rbac.scaleTargets.example\\.com={{widgets}}"],
    "all-secrets": ["rbac.allSecrets=true", "rbac.configMaps=false", "leaderElection.enabled=false"],
    "clouds": ["podIdentity.azureWorkload.enabled=true", "podIdentity.aws.irsa.enabled=true", "podIdentity.gcp.enabled=true",
               "image.registry=registry.example.com/team", "imagePullSecrets[0].name=pull", "hostNetwork=true",
               "extraArgs={{--downscale-stabilization=1m}}", "extraEnv[0].name=A", "extraEnv[0].value=b", "nodeSelector.disk=ssd",
               "volumes.extraVolumes[0].name=v", "volumes.extraVolumes[0].emptyDir.medium=Memory",
               "volumes.extraVolumeMounts[0].name=v", "volumes.extraVolumeMounts[0].mountPath=/v", "additionalLabels.team=a",
               "additionalAnnotations.note=b", "podAnnotations.c=d", "podLabels.e=f", "priorityClassName=system-cluster-critical"],
}
REFUSED = {
    "a word that is none": (["replicas=2"], "'replicas' not allowed"),
    "a mode that is none": (["mode=Direct"], "'direct', 'hpa', 'observe'"),
    "two that both scale": (["replicaCount=2", "leaderElection.enabled=false"], "leaderElection.enabled or sharding.enabled"),
    "a share that is asked for all metrics": (["replicaCount=2", "mode=hpa", "sharding.enabled=true"], "leaderElection.enabled"),
    "hpa mode without metrics": (["mode=hpa", "watchNamespace=shop"], "externalMetrics.enabled"),
    "a certificate that may not be kept": (["readOnly=true", "webhooks.enabled=true"], "certificates.source"),
}


def sets(values, ns=""):
    return [word for value in values for word in ("--set", value.format(ns=ns))]


def template(plane, ns, values, **options):
    return plane.helm("template", "weir", CHART, "-n", ns, "--kube-version", "1.36.0", *sets(values, ns), **options)


def kinds_of(manifest):
    return re.findall(r"^kind: (\w+)", manifest, re.M)


def of_this_cluster(manifest):
    return "\n---\n".join(part for part in manifest.split("\n---\n") if not set(kinds_of(part)) & set(FOREIGN))


# ---- what is made


def test_what_is_made_is_current(plane):
    made = subprocess.run([str(ROOT / "tools" / "make-deploy"), "--check"], capture_output=True, text=True, check=False,
                          env=dict(os.environ, HELM=str(plane.bin / "helm")))
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize("name", SETS)
def test_the_api_server_takes_what_the_chart_gives(plane, namespace, name):
    """Each set of values: no fault for helm, none for the API server, no warning of the strictest pod security."""
    linted = plane.helm("lint", "--strict", CHART, "-n", namespace.name, "--kube-version", "1.36.0",
                        *sets(SETS[name], namespace.name), check=False)
    assert linted.returncode == 0, linted.stdout
    if name != "clouds":  # hostNetwork
        plane.kubectl("label", "namespace", namespace.name, "pod-security.kubernetes.io/warn=restricted")
    manifest = of_this_cluster(template(plane, namespace.name, SETS[name]))
    applied = plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest, check=False)
    assert applied.returncode == 0 and "arning" not in applied.stderr, applied.stderr
    assert "deployment.apps/weir" in applied.stdout


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_would_do_harm_are_refused(plane, name):
    values, text = REFUSED[name]
    said = template(plane, "weir", values, check=False)
    assert said.returncode != 0 and text in said.stderr, said.stderr


def test_a_namespaced_install_has_nothing_cluster_wide(plane):
    kinds = set(kinds_of(template(plane, "weir", ["watchNamespace=shop\\,billing", "crds.install=false"])))
    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "Service", "Deployment"}


def test_no_secret_is_granted_but_its_own(plane):
    manifest = template(plane, "weir", [])
    own = "resources: [secrets]\n  resourceNames: [weir-certs]\n  verbs: [get, list, watch, patch]\n"
    assert manifest.count("secrets]") == 2 and own in manifest and "resources: [secrets]\n  verbs: [create]\n" in manifest



def test_a_package_has_the_crds(plane, tmp_path):
    plane.helm("package", CHART, "-d", tmp_path)
    packed = next(tmp_path.glob("weir-*.tgz"))
    kinds = kinds_of(plane.helm("template", "weir", packed, "--kube-version", "1.36.0"))
    assert kinds.count("CustomResourceDefinition") == len(list((ROOT / "deploy" / "crds").glob("*.yaml")))


# ---- with and without KEDA's CRDs


def crds_of(plane):
    items = plane.api.get(path_of("customresourcedefinitions"))["items"]
    return {item["metadata"]["name"]: item["metadata"] for item in items}


def test_the_crds_of_a_cluster_without_keda(own_plane):
    plane = own_plane(crds=False, metrics=False)
    plane.helm("install", "weir", CHART, "-n", "weir")
    assert len(crds_of(plane)) == 6
    plane.helm("upgrade", "weir", CHART, "-n", "weir", "--set", "crds.additionalAnnotations.note=new")
    assert crds_of(plane)["scaledobjects.keda.sh"]["annotations"]["note"] == "new"
    plane.helm("uninstall", "weir", "-n", "weir")
    assert len(crds_of(plane)) == 6  # and so the ScaledObjects stay
    assert not plane.api.find(path_of("clusterroles", name="weir"))
    plane.kubectl("apply", "-f", PLAIN)
    assert "configured" not in plane.kubectl("apply", "-f", PLAIN)
    assert plane.api.get(path_of("deployments", "weir", "weir"))["spec"]["replicas"] == 1
    plane.kubectl("delete", "-f", PLAIN, "--wait=false")


def test_crds_of_others_are_left_alone(plane, install):
    plain = plane.kubectl("apply", "--dry-run=server", "-f", PLAIN, "-l", "!weir.dev/crd")
    assert "deployment.apps/weir created" in plain and "customresourcedefinition" not in plain
    install()
    assert not any("meta.helm.sh/release-name" in crd.get("annotations", {}) for crd in crds_of(plane).values())


# ---- with the rights it gives


class Installed:
    """A release in a test's namespace, and Weirs of its ServiceAccount with the flags of its Deployment."""

    def __init__(self, namespace, folder, weir, values):
        self.namespace, self.plane, self.folder, self.start = namespace, namespace.plane, folder, weir
        self.user = f"system:serviceaccount:{namespace.name}:weir"
        self.mark = self.plane.audit_mark()
        self.plane.helm("install", "weir", CHART, "-n", namespace.name, *sets(values, namespace.name))

    def kubeconfig(self):
        path = self.folder / "weir.kubeconfig"
        token = self.namespace.kubectl("create", "token", "weir").strip()
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": self.plane.server, "certificate-authority": str(self.plane.pki / "ca.crt")}}],
            "users": [{"name": "x", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": self.namespace.name}}]}))
        return path

    def flags(self):
        """Of the Deployment as the API server has it; only where to listen and to write is another."""
        container = self.namespace.get("deployments", "weir")["spec"]["template"]["spec"]["containers"][0]
        args = container["args"]
        assert args[:2] == ["run", "--kubernetes"] and "--data-dir=/var/lib/weir" in args
        kept = [a for a in args[2:] if not a.startswith("--data-dir=")]
        ports = iter(free_ports(4))
        self.listens = {}
        for i, arg in enumerate(kept):
            if re.search(r"=:\d+$", arg):
                self.listens[arg.split("=")[0]] = port = next(ports)
                kept[i] = f"{arg.split('=')[0]}=127.0.0.1:{port}"
        return kept

    def run(self, pod=None):
        """pod: the one it is to take itself for."""
        under = ("env", f"POD_NAME={pod}", f"POD_NAMESPACE={self.namespace.name}") if pod else ()
        return self.start(*self.flags(), kubeconfig=self.kubeconfig(), under=under)

    def asked(self, **wanted):
        return self.plane.audit(self.mark, user=self.user, **wanted)

    def refused(self):
        """What RBAC did not allow it: "list secrets in shop"."""
        found = [(e["verb"], e["objectRef"]) for e in self.asked()
                 if e.get("responseStatus", {}).get("code") == 403 and " cannot " in e["responseStatus"].get("message", "")]
        return {f"{verb} {'/'.join(filter(None, (o.get('resource'), o.get('subresource'))))} in {o.get('namespace', 'the cluster')}"
                for verb, o in found}

    def uninstall(self):
        self.plane.helm("uninstall", "weir", "-n", self.namespace.name, "--ignore-not-found")


@pytest.fixture
def install(namespace, tmp_path, weir):
    """install("mode=hpa"): the chart with these values in the test's namespace, gone afterwards."""
    made = []

    def make(*values):
        made.append(Installed(namespace, tmp_path, weir, values))
        return made[-1]

    yield make
    for one in made:
        one.uninstall()


def metrics_trigger(source, target="5", **more):
    return {"type": "metrics-api", "metadata": {"url": source.url, "valueLocation": "value", "targetValue": target}, **more}


def scaled_object(name, *triggers, **spec):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name, "finalizers": ["finalizer.keda.sh"]},
            "spec": {"scaleTargetRef": {"name": name}, "pollingInterval": 1, "cooldownPeriod": 1, "triggers": list(triggers), **spec}}


def scaled_job(name, trigger, most=2):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": name},
            "spec": {"jobTargetRef": {"template": {"spec": {"restartPolicy": "Never",
                                                            "containers": [{"name": "main", "image": "example"}]}}},
                     "pollingInterval": 1, "maxReplicaCount": most, "triggers": [trigger]}}


def ready(namespace, name, resource="scaledobjects"):
    return (namespace.condition(resource, name, "Ready") or ("",))[0] == "True"


def see_it_work(namespace, source):
    """A Deployment by a metric, a StatefulSet by its memory, a ScaledJob; then all of it deleted."""
    source.value = 15
    namespace.create("deployments", deployment("web", 0))
    namespace.create("deployments", deployment("busy", 1, resources={"requests": {"memory": "10Mi"}}))
    namespace.use("busy", memory="10Mi")
    memory = {"type": "memory", "metricType": "Utilization", "metadata": {"value": "50"}}
    namespace.apply(manifest_of(scaled_object("web", metrics_trigger(source)),
                                scaled_object("busy", memory, minReplicaCount=1, maxReplicaCount=2),
                                scaled_job("work", metrics_trigger(source))))
    namespace.wait_ready(3, "web")
    namespace.wait_ready(2, "busy")
    wait_for(lambda: len(namespace.owned("jobs", "work")) == 2, 30)
    wait_for(lambda: ready(namespace, "web") and ready(namespace, "busy") and ready(namespace, "work", "scaledjobs"), 30)
    wait_for(lambda: namespace.events("web"), 30)
    namespace.kubectl("delete", "scaledobjects,scaledjobs", "--all", "--timeout=30s")  # KEDA's finalizer is Weir's to take away


def test_its_rights_are_enough(namespace, install, source):
    """The defaults: direct mode, admission, a certificate of its own, a leader."""
    installed = install()
    weir = installed.run()
    see_it_work(namespace, source)
    wait_for(lambda: namespace.get("secrets", "weir-certs"), 30)
    hooks = path_of("validatingwebhookconfigurations", name="weir-admission")
    wait_for(lambda: all(hook["clientConfig"].get("caBundle") for hook in installed.plane.api.get(hooks)["webhooks"]), 30)
    assert namespace.get("leases", "weir-leader")["spec"]["holderIdentity"]
    assert installed.refused() == set(), weir.log_text()


def test_roles_are_enough_for_a_namespaced_install(plane, namespace, install, source):
    plane.namespaces += 1
    elsewhere = type(namespace)(plane, f"{namespace.name}-other")
    installed = install("watchNamespace={ns}")
    for binding in plane.api.get(path_of("clusterrolebindings"))["items"]:
        assert not any(s.get("namespace") == namespace.name for s in binding.get("subjects", [])), binding["metadata"]["name"]
    weir = installed.run()
    elsewhere.create("deployments", deployment("web", 0))
    elsewhere.apply(manifest_of({**scaled_object("web", metrics_trigger(source)), "metadata": {"name": "web"}}))
    see_it_work(namespace, source)
    assert elsewhere.replicas("web") == 0
    # There is no Role for what has no namespace: said once, and no more than that.
    assert installed.refused() <= {f"list {kind} in the cluster" for kind in ("clustertriggerauthentications", "clustercloudeventsources")}, weir.log_text()
    elsewhere.delete("scaledobjects", "web")
    elsewhere.gone()


def lead_to(plane, namespace, port):
    """The Service of a release that leads to this machine, as there are no pods behind it that answer."""
    plane.api.delete(namespace.path("services", "weir-metrics-api"))
    namespace.create("services", {"metadata": {"name": "weir-metrics-api"}, "spec": {"type": "ExternalName", "externalName": "localhost",
                                                                       "ports": [{"port": port}]}})
    plane.api.patch(path_of("apiservices", name="v1beta1.external.metrics.k8s.io"), {"spec": {"service": {"port": port}}})


def test_its_rights_are_enough_for_hpa_mode(plane, namespace, install, source):
    installed = install("mode=hpa")
    weir = installed.run()
    lead_to(plane, namespace, installed.listens["--external-metrics"])
    served = lambda: plane.api.ask("GET", "/apis/external.metrics.k8s.io/v1beta1")[0] == 200  # noqa: E731
    wait_for(served, 90)
    source.value = 15
    namespace.create("deployments", deployment("web", 1))
    namespace.apply(manifest_of(scaled_object("web", metrics_trigger(source), minReplicaCount=1)))
    namespace.wait_ready(3, "web", limit_s=60)
    assert namespace.list("horizontalpodautoscalers")[0]["metadata"]["name"] == "keda-hpa-web"
    namespace.kubectl("delete", "scaledobject", "web", "--timeout=30s")
    assert installed.refused() == set(), weir.log_text()


def test_the_service_of_metrics_finds_the_leader(namespace, install):
    """Two Pods of the Deployment: the Service selects the one that leads, and the other one when it has taken over."""
    installed = install("mode=hpa", "replicaCount=2", "leaderElection.retryPeriod=1s")
    selector = namespace.get("services", "weir-metrics-api")["spec"]["selector"]
    selected = lambda: [p["metadata"]["name"] for p in namespace.list(  # noqa: E731
        "pods", labelSelector=",".join(f"{key}={value}" for key, value in selector.items()))]
    wait_for(lambda: len(namespace.list("pods")) == 2, 30)
    pods = [p["metadata"]["name"] for p in namespace.list("pods")]
    first = installed.run(pods[0])
    wait_for(lambda: selected() == pods[:1], 30)
    second = installed.run(pods[1])
    assert selected() == pods[:1]
    first.stop()
    wait_for(lambda: selected() == pods[1:], 30)
    second.kill()
    assert selected() == pods[1:]
    third = installed.run(pods[0])  # nobody takes the label off the other Pod but who leads now
    wait_for(lambda: "weir_leader 1\n" in third.get("/metrics"), 40)
    wait_for(lambda: selected() == pods[:1], 10)
    third.stop()
    assert selected() == []
    assert installed.refused() == set(), first.log_text() + third.log_text()


def test_rights_of_several(namespace, install, source):
    installed = install("sharding.enabled=true", "replicaCount=2")
    weirs = [installed.run(), installed.run()]
    wait_for(lambda: len([x for x in namespace.list("leases") if x["spec"].get("holderIdentity")]) >= 2, 30)
    see_it_work(namespace, source)
    weirs[0].stop()
    assert installed.refused() == set(), "\n".join(w.log_text() for w in weirs)


def test_a_look_needs_no_right_to_write(namespace, install, source):
    installed = install("readOnly=true")
    source.value = 15
    namespace.create("deployments", deployment("web", 1))
    namespace.apply(manifest_of(scaled_object("web", metrics_trigger(source))))
    weir = installed.run()
    wait_for(lambda: "3" in weir.cli("explain", "web", "-n", namespace.name).stdout, 30)
    writes = {e["verb"] for e in installed.asked()} - {"get", "list", "watch"}
    assert writes == set() and namespace.replicas("web") == 1
    assert installed.refused() == set(), weir.log_text()
    namespace.patch("scaledobjects", "web", {"metadata": {"finalizers": None}})


def test_a_secret_that_is_not_granted_is_named_with_its_rule(plane, namespace, install, source):
    installed = install()
    namespace.create("secrets", {"metadata": {"name": "token"}, "stringData": {"key": "sesame"}})
    namespace.apply(manifest_of({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "auth"}, "spec": {
        "secretTargetRef": [{"parameter": "apiKey", "name": "token", "key": "key"}]}}))
    trigger = metrics_trigger(source, authenticationRef={"name": "auth"})
    trigger["metadata"].update(authMode="apiKey", method="header", keyParamName="X-Key")
    source.value = 15
    namespace.create("deployments", deployment("web", 0))
    namespace.apply(manifest_of(scaled_object("web", trigger)))
    weir = installed.run()
    rule = (f'add to a Role in namespace {namespace.name} the rule {{apiGroups: [""], resources: [secrets], resourceNames: [token], '
            "verbs: [get, list, watch]}")
    wait_for(lambda: rule in (namespace.condition("scaledobjects", "web", "Ready") or ("", "", ""))[2], 30)
    assert namespace.condition("scaledobjects", "web", "Ready")[:2] == ("False", "ScaledObjectCheckFailed")
    assert "sesame" not in weir.log_text() and namespace.replicas("web") == 0
    plane.helm("upgrade", "weir", CHART, "-n", namespace.name, "--set", f"rbac.secrets.{namespace.name}={{token}}")
    namespace.wait_ready(3, "web", limit_s=60)
    assert any(headers.get("X-Key") == "sesame" for headers in source.headers)
    namespace.kubectl("delete", "scaledobject", "web", "--timeout=30s")


# ---- the image


class Image:
    """The root of the image, and programs in it as a node would run them: not root, nothing to write but the data folder."""

    def __init__(self, folder):
        self.root = folder / "root"
        subprocess.run([str(ROOT / "tools" / "make-image-root"), str(WEIR), str(self.root)], check=True, capture_output=True)
        (self.root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")  # the kubelet's
        as_root = os.geteuid() == 0
        self.words = ["chroot", "--userspec=65532:65532", self.root] if as_root else ["unshare", "-r", "chroot", self.root]

    def service_account(self, plane, namespace):
        """What a pod has of the cluster; its environment."""
        folder = self.root / "var" / "run" / "secrets" / "kubernetes.io" / "serviceaccount"
        folder.mkdir(parents=True)
        (folder / "token").write_text(namespace.kubectl("create", "token", "weir").strip())
        (folder / "namespace").write_text(namespace.name)
        (folder / "ca.crt").write_text((plane.pki / "ca.crt").read_text())
        folder.chmod(0o755)
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(plane.ports["api"]), "XDG_STATE_HOME": "/var/lib",
                "POD_NAMESPACE": namespace.name, "POD_NAME": "weir-0"}

    def command(self, *arguments):
        return [*map(str, self.words), "/usr/bin/weir", *arguments]

    def run(self, *arguments, environment=None, **options):
        env = {"XDG_STATE_HOME": "/var/lib", "PATH": os.environ["PATH"], **(environment or {})}
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, env=env, **options)


def test_the_image_holds_what_it_needs(plane, namespace, install, source, tmp_path):
    """Shared libraries, zones, authorities, names: Weir finds its cluster as in a pod, and `weir get` finds Weir."""
    image = Image(tmp_path)
    assert image.run("version").stdout.startswith("weir")
    cron = {"type": "cron", "metadata": {"timezone": "Asia/Tokyo", "start": "0 8 * * *", "end": "0 9 * * *", "desiredReplicas": "2"}}
    linted = image.run("lint", "-", input=manifest_of({**scaled_object("web", cron), "metadata": {"name": "web"}}))
    assert "Asia/Tokyo" not in linted.stdout + linted.stderr and linted.returncode == 0, linted.stdout + linted.stderr

    # TLS by the authorities of the image: the API server's is not among them, and then is
    version = scaled_object("web", {"type": "metrics-api", "metadata": {"url": f"{plane.server}/version", "valueLocation": "major",
                                                                        "targetValue": "1"}})
    asked = manifest_of({**version, "metadata": {"name": "web"}})
    assert "certificate" in image.run("probe", "-", input=asked).stdout
    with open(image.root / "etc/ssl/certs/ca-certificates.crt", "a") as authorities:
        authorities.write((plane.pki / "ca.crt").read_text())
    probed = image.run("probe", "-", input=asked)
    assert "failed" not in probed.stdout, probed.stdout + probed.stderr
    # client libraries and what they load by name: each gets as far as dialling a port that is closed
    for metadata in ({"type": "mssql", "username": "sa", "host": "127.0.0.1", "port": "1", "database": "d", "query": "SELECT 1", "targetValue": "1"},
                     {"type": "mysql", "username": "u", "host": "127.0.0.1", "port": "1", "dbName": "d", "query": "SELECT 1", "queryValue": "1"}):
        kind = metadata.pop("type")
        dialled = image.run("probe", "-", input=manifest_of({**scaled_object("web", {"type": kind, "metadata": metadata}), "metadata": {"name": "web"}}))
        assert re.search("refused|connect|unavailable", dialled.stdout, re.I), dialled.stdout + dialled.stderr
    assert list((image.root / "usr/lib").glob("*/libmariadb3/plugin/caching_sha2_password.so"))

    installed = install()
    source.value = 15
    source.url = source.url.replace("127.0.0.1", "localhost")
    namespace.create("deployments", deployment("web", 0))
    namespace.apply(manifest_of(scaled_object("web", metrics_trigger(source))))
    environment = image.service_account(plane, namespace)
    log = tmp_path / "log"
    with open(log, "w") as out, subprocess.Popen(
            image.command("run", "--kubernetes", "--data-dir=/var/lib/weir", "--listen=none", "--allow-egress=127.0.0.0/8", *installed.flags()), stderr=out,
            env={**environment, "PATH": os.environ["PATH"]}) as process:
        try:
            namespace.wait_ready(3, "web")
            shown = image.run("get").stdout
            assert namespace.name in shown and "web" in shown
            namespace.kubectl("delete", "scaledobject", "web", "--timeout=30s")
        finally:
            process.terminate()
            process.wait(20)
            print(log.read_text()[-3000:])
    assert installed.refused() == set()
