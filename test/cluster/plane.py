"""A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager, with a fake for what runs on nodes.

    with Plane(folder) as plane:
        plane.kubectl("apply", "-f", "app.yaml")
        plane.api.get("/apis/apps/v1/namespaces/default/deployments")

It listens on ports nobody else has, keeps everything in its folder and is gone with the process that started it. From a shell:
`test/cluster/up FOLDER` (it lives on) and `test/cluster/down FOLDER`. The programs come from test/cluster/build.

Who is who: `admin` may everything; `weir-a` to `weir-d` are for one Weir each (group weir:autoscalers, everything allowed), counted by
the API server one by one and never throttled; `user()` makes others, which may nothing until a test binds them to a role.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import pki  # noqa: E402
from api import Api, ApiError, path_of  # noqa: E402
from process import Program  # noqa: E402
from support.waiting import free_ports, wait_for  # noqa: E402

HERE = Path(__file__).resolve().parent
CRDS = HERE.parent.parent / "deploy" / "crds"
CONTROLLERS = ("deployment", "replicaset", "statefulset", "replicationcontroller", "job", "cronjob", "horizontal-pod-autoscaler",
               "garbage-collector", "namespace", "serviceaccount", "clusterrole-aggregation")
# What changes the world is written down with what was asked; of everything else, who asked for what.
AUDIT = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  verbs: [create, update, patch, delete, deletecollection]
  resources:
  - {group: "", resources: [pods, events]}
  - {group: apps}
  - {group: autoscaling}
  - {group: batch}
  - {group: coordination.k8s.io}
  - {group: keda.sh}
- level: Metadata
"""
ALL_RESOURCES = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "clusterScope": True, "namespaces": ["*"]}]
ALL_PATHS = [{"nonResourceURLs": ["*"], "verbs": ["*"]}]


def flow_schema(name, subject):
    """Requests of one client: never queued or refused, and counted under its name."""
    return {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
            "spec": {"matchingPrecedence": 2, "priorityLevelConfiguration": {"name": "exempt"},
                     "rules": [{"subjects": [subject], "resourceRules": ALL_RESOURCES, "nonResourceRules": ALL_PATHS}]}}


def binding(name, kind="Group"):
    return {"metadata": {"name": name.replace(":", "-")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}]}


def metrics_service(port):
    """A Service that is a name for localhost: the only way to an APIService without Pods, proxies and DNS."""
    return {"metadata": {"name": "fake-metrics"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port, "protocol": "TCP"}]}}


def metrics_api(port):
    return {"metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                     "insecureSkipTLSVerify": True, "service": {"name": "fake-metrics", "namespace": "kube-system", "port": port}}}


def programs():
    """The folder with plane, kubectl, fake and helm; built now if need be, which takes minutes."""
    built = subprocess.run([str(HERE / "build")], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError("the control plane could not be built (see above)")
    return Path(built.stdout.strip())


class Plane:
    """hpa_sync: how often the HPA controller looks (15s in real clusters). audit: write the audit log (it costs the API server CPU).
    metrics: serve metrics.k8s.io. crds: install Weir's CRDs. *_options: more flags of that program. kept: it outlives this process."""

    def __init__(self, folder, hpa_sync="1s", audit=True, metrics=True, crds=True, kept=False, api_options=(), controller_options=()):
        self.folder = Path(folder).resolve()
        self.pki = self.folder / "pki"
        self.audit_log = self.folder / "audit.log" if audit else None
        self.hpa_sync, self.metrics, self.crds, self.kept = hpa_sync, metrics, crds, kept
        self.api_options, self.controller_options = api_options, controller_options
        self.bin = programs()
        self.programs = {}

    # -- the programs and their flags

    def place(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = dict(zip(("etcd", "peer", "api", "controllers", "metrics"), free_ports(5)))
        self.server = f"https://127.0.0.1:{self.ports['api']}"
        (self.folder / "audit.yaml").write_text(AUDIT)

    def program(self, name, *arguments):
        binary = self.bin / ("fake" if name == "fake" else "plane")
        words = [binary] if name == "fake" else [binary, name]
        self.programs[name] = Program(self.folder, name, [*words, *arguments], self.kept)
        return self.programs[name]

    def etcd(self):
        client, peer = (f"http://127.0.0.1:{self.ports[port]}" for port in ("etcd", "peer"))
        return self.program("etcd", "--name=test", f"--data-dir={self.folder}/etcd", "--log-level=warn", "--unsafe-no-fsync",
                            "--quota-backend-bytes=8589934592", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
                            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}")

    def api_server(self):
        p = self.pki
        audit = [f"--audit-policy-file={self.folder}/audit.yaml", f"--audit-log-path={self.audit_log}"] if self.audit_log else []
        return self.program(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.ports['etcd']}", "--bind-address=127.0.0.1",
            f"--secure-port={self.ports['api']}", "--service-cluster-ip-range=10.0.0.0/16", "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",  # loopback is no legal address of an endpoint
            "--disable-admission-plugins=ServiceAccount",  # a Pod need not wait for its namespace's account
            f"--client-ca-file={p}/ca.crt", f"--tls-cert-file={p}/apiserver.crt", f"--tls-private-key-file={p}/apiserver.key",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={p}/sa.pub",
            f"--service-account-signing-key-file={p}/sa.key", f"--requestheader-client-ca-file={p}/front-ca.crt",
            "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={p}/front-proxy.crt", f"--proxy-client-key-file={p}/front-proxy.key", *audit, *self.api_options)

    def controllers(self):
        kcm = self.kubeconfig("kcm")
        return self.program(
            "kube-controller-manager", f"--kubeconfig={kcm}", f"--authentication-kubeconfig={kcm}", f"--authorization-kubeconfig={kcm}",
            "--bind-address=127.0.0.1", f"--secure-port={self.ports['controllers']}", f"--tls-cert-file={self.pki}/apiserver.crt",
            f"--tls-private-key-file={self.pki}/apiserver.key", "--leader-elect=false", "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.pki}/sa.key", f"--root-ca-file={self.pki}/ca.crt", "--kube-api-qps=500",
            "--kube-api-burst=1000", f"--horizontal-pod-autoscaler-sync-period={self.hpa_sync}",
            "--controllers=" + ",".join(f"{name}-controller" for name in CONTROLLERS), *self.controller_options)

    def fake(self):
        listen = [f"--metrics-listen=127.0.0.1:{self.ports['metrics']}"] if self.metrics else []
        return self.program("fake", f"--kubeconfig={self.kubeconfig('kubelet')}", *listen)

    # -- its life

    def alive(self, name):
        program = self.programs[name]
        if not program.pid:
            raise RuntimeError(f"{name} ended:\n{program.last_words()}")
        return True

    def ready(self):
        self.alive("etcd")
        self.alive("kube-apiserver")
        try:
            return self.api.ask("GET", "/readyz", timeout_s=5) == (200, "ok")
        except OSError:
            return False

    def controlling(self):
        self.alive("kube-controller-manager")
        try:
            manager = Api(f"https://127.0.0.1:{self.ports['controllers']}", *self.identity("admin"))
            return manager.ask("GET", "/healthz", timeout_s=5)[0] == 200
        except OSError:
            return False

    def served(self, path):
        try:
            return self.api.ask("GET", path, timeout_s=5)[0] == 200
        except OSError:
            return False

    def furnish(self):
        """What every test finds there."""
        for group in ("weir:autoscalers", "weir:kubelets"):
            self.api.post(path_of("clusterrolebindings"), binding(group))
        for user in pki.USERS:
            if user.startswith(("weir-", "kubelet")):
                self.api.post(path_of("flowschemas"), flow_schema(user, {"kind": "User", "user": {"name": user}}))
        self.api.post(path_of("flowschemas"), flow_schema("hpa-controller", {
            "kind": "ServiceAccount", "serviceAccount": {"name": "horizontal-pod-autoscaler", "namespace": "kube-system"}}))
        self.api.post(path_of("namespaces"), {"metadata": {"name": "weir"}})
        if self.metrics:
            self.api.post(path_of("services", "kube-system"), metrics_service(self.ports["metrics"]))

    def install_crds(self):
        for path in sorted(CRDS.glob("*.yaml")) if self.crds else []:
            self.api.post(path_of("customresourcedefinitions"), path.read_text())

    def serve_metrics(self):
        """Registered once it is served: an APIService that was found down is looked at again only after a while."""
        if self.metrics:
            wait_for(lambda: self.alive("fake") and self.listening("metrics"), 30, 0.02)
            self.api.post(path_of("apiservices"), metrics_api(self.ports["metrics"]))

    def listening(self, port):
        hexadecimal = f":{self.ports[port]:04X} 00000000:0000 0A"
        return any(hexadecimal in Path(f"/proc/net/{table}").read_text() for table in ("tcp", "tcp6"))

    def expected(self):
        """Paths that answer once everything is there."""
        paths = ["/apis/keda.sh/v1alpha1/scaledobjects?limit=1", "/apis/keda.sh/v1alpha1/scaledjobs?limit=1",
                 "/apis/keda.sh/v1alpha1/triggerauthentications?limit=1", "/apis/eventing.keda.sh/v1alpha1"] if self.crds and any(CRDS.glob("*.yaml")) else []
        return paths + (["/apis/metrics.k8s.io/v1beta1/pods"] if self.metrics else [])

    def start(self):
        began = time.monotonic()
        self.place()
        try:
            with ThreadPoolExecutor(1) as aside:
                made = aside.submit(pki.make, self.pki, self.server)
                self.etcd().start()
                made.result()
            self.api = self.as_user("admin")
            self.api_server().start()
            wait_for(self.ready, 120, 0.05)
            self.controllers().start()
            self.furnish()
            self.fake().start()
            self.install_crds()
            self.serve_metrics()
            wait_for(self.controlling, 120, 0.05)
            wait_for(lambda: all(map(self.served, self.expected())), 60, 0.05)
        except BaseException:
            self.stop()
            raise
        (self.folder / "plane.json").write_text(json.dumps({
            "bin": str(self.bin), "ports": self.ports, "server": self.server, "audit": bool(self.audit_log),
            "programs": {name: program.arguments for name, program in self.programs.items()}}))
        self.took_s = time.monotonic() - began
        return self

    def stop(self):
        """Killed, newest first: nobody wants what they would still write."""
        for program in reversed(list(self.programs.values())):
            program.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @classmethod
    def running(cls, folder):
        """The one that `up` started in that folder."""
        self = cls.__new__(cls)
        self.folder = Path(folder).resolve()
        written = json.loads((self.folder / "plane.json").read_text())
        self.pki, self.bin, self.kept = self.folder / "pki", Path(written["bin"]), True
        self.ports, self.server = written["ports"], written["server"]
        self.audit_log = self.folder / "audit.log" if written["audit"] else None
        self.programs = {name: Program(self.folder, name, words, kept=True) for name, words in written["programs"].items()}
        self.api = self.as_user("admin")
        return self

    # -- using it

    def identity(self, user):
        return self.pki / "ca.crt", self.pki / f"{user}.crt", self.pki / f"{user}.key"

    def as_user(self, user):
        return Api(self.server, *self.identity(user))

    def kubeconfig(self, user="admin"):
        return self.pki / f"{user}.kubeconfig"

    def user(self, name, *groups):
        """The kubeconfig of one more user, of these groups, who may nothing yet."""
        pki.finish([pki.client(self.pki, name, "".join(f"/O={group}" for group in groups) + f"/CN={name}")])
        return pki.write_kubeconfig(self.pki, name, self.server)

    def account(self, name):
        """The token of a service account in the namespace weir which may everything, is never throttled, and is counted under its name."""
        path = path_of("serviceaccounts", "weir")
        self.api.post(path, {"metadata": {"name": name}})
        self.api.post(path_of("clusterrolebindings"), binding(f"system:serviceaccount:weir:{name}", "User"))
        self.api.post(path_of("flowschemas"), flow_schema(name, {"kind": "ServiceAccount", "serviceAccount": {"name": name, "namespace": "weir"}}))
        return self.api.post(f"{path}/{name}/token", {"spec": {"expirationSeconds": 24 * 3600}})["status"]["token"]

    def command(self, program, *arguments, stdin=None, user="admin", check=True):
        env = dict(os.environ, KUBECONFIG=str(self.kubeconfig(user)), HOME=str(self.folder))
        run = subprocess.run([str(self.bin / program), *map(str, arguments)], input=stdin, capture_output=True, text=True, env=env,
                             check=False)
        if check and run.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(map(str, arguments))}: {run.stderr or run.stdout}")
        return run if not check else run.stdout

    def kubectl(self, *arguments, **options):
        """What kubectl prints; RuntimeError with what it says when it fails (check=False: the finished process)."""
        return self.command("kubectl", *arguments, **options)

    def helm(self, *arguments, **options):
        return self.command("helm", *arguments, **options)

    # -- what was asked of it

    def audit_mark(self):
        """Where the audit log ends now: later events are those after it."""
        return self.audit_log.stat().st_size

    def audit(self, since=0, **wanted):
        """Events of the audit log after a mark, in order; wanted: user, verb, resource, subresource, namespace, name, each a value or
        a set of values. A write has its requestObject where the policy above keeps it."""
        found = []
        with open(self.audit_log) as log:
            log.seek(max(since - 1, 0))
            if since:
                log.readline()  # the rest of an event that was being written when the mark was made, and belongs before it
            for line in log:
                if not line.endswith("\n"):
                    break  # still being written
                event = json.loads(line)
                if all(matches(event, key, value) for key, value in wanted.items()):
                    found.append(event)
        return found

    def requests(self):
        """How many requests the API server has served since it started, by client: weir-a ..., hpa-controller, kubelet."""
        text = self.api.get("/metrics")
        name = "apiserver_flowcontrol_dispatched_requests_total"
        counts = {}
        for flow, count in re.findall(rf'^{name}{{flow_schema="([^"]+)",[^}}]*}} (\S+)$', text, re.M):
            counts[flow] = counts.get(flow, 0) + int(float(count))
        return counts


def matches(event, key, value):
    is_ = event["user"]["username"] if key == "user" else event["verb"] if key == "verb" else event.get("objectRef", {}).get(key, "")
    return is_ in value if isinstance(value, (set, frozenset, tuple, list)) else is_ == value


def up(options):
    folder = Path(options.folder)
    if (folder / "plane.json").exists():
        sys.exit(f"up: {folder} has one already; test/cluster/down {folder} stops it")
    plane = Plane(folder, hpa_sync=options.hpa_sync, audit=not options.no_audit, metrics=not options.no_metrics,
                  crds=not options.no_crds, kept=True, api_options=options.api_option,
                  controller_options=options.controller_option).start()
    print(f"up after {plane.took_s:.1f} s; others are {plane.pki}/weir-a.kubeconfig ...; kubectl and helm are in {plane.bin}",
          file=sys.stderr)
    print(f"export KUBECONFIG={plane.kubeconfig()}")


def down(options):
    try:
        plane = Plane.running(options.folder)
    except FileNotFoundError:
        sys.exit(f"down: nothing was started in {options.folder}")
    plane.stop()
    (plane.folder / "plane.json").unlink()


def main():
    options = argparse.ArgumentParser(description="Starts or stops a test control plane that stays.")
    words = options.add_subparsers(required=True)
    start = words.add_parser("up", help="start one in a folder; prints how to reach it: eval \"$(test/cluster/up FOLDER)\"")
    start.set_defaults(run=up)
    start.add_argument("--hpa-sync", default="15s", help="how often the HPA controller looks")
    start.add_argument("--no-audit", action="store_true", help="no audit log (less CPU)")
    start.add_argument("--no-metrics", action="store_true", help="no metrics.k8s.io")
    start.add_argument("--no-crds", action="store_true", help="without Weir's CRDs")
    start.add_argument("--api-option", action="append", default=[], help="one more flag of kube-apiserver (--api-option=--v=2)")
    start.add_argument("--controller-option", action="append", default=[], help="one more flag of kube-controller-manager")
    stop = words.add_parser("down", help="stop it")
    stop.set_defaults(run=down)
    for word in (start, stop):
        word.add_argument("folder")
    args = options.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
