"""kubectl weir: the Weir of a cluster, asked through the service proxy of a real API server, by users who may and who may not.

The way is the whole one: kubectl finds the plugin, the plugin asks the API server as the user of the kubeconfig, the API server passes the
question on to the address of a Pod, and Weir asks the API server back whose token came with it. Only the Pod is a fake: it has the
address of this machine, where Weir listens.
"""
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from namespace import deployment, manifest_of
from support.screen import Screen
from support.waiting import free_port, wait_for
from support.weir import WEIR

CHART = Path(__file__).resolve().parent.parent.parent / "deploy" / "helm" / "weir"


def own_address():
    """One that is not a loopback address, for endpoints may not have those; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback ones, and an API server passes nothing on to those")
        return s.getsockname()[0]


def scaled_object(source):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "web"},
            "spec": {"scaleTargetRef": {"name": "web"}, "pollingInterval": 1, "triggers": [
                {"type": "metrics-api", "name": "load", "metadata": {"url": source.url, "valueLocation": "value", "targetValue": "5"}}]}}


class Way:
    """The chart's Service, accounts and roles in the test's namespace, and kubectl of a user who is bound to them, or not."""

    def __init__(self, namespace, folder):
        self.namespace, self.plane, self.folder = namespace, namespace.plane, folder
        self.address, self.port, self.release = own_address(), free_port(), namespace.name
        self.name = f"{self.release}-weir"[:50].rstrip("-")
        made = self.plane.helm("template", self.release, CHART, "-n", namespace.name, "--kube-version", "1.36.0", "-s", "templates/api.yaml")
        self.plane.kubectl("apply", "-f", "-", stdin=made)
        self.made = made
        (folder / "bin").mkdir()
        (folder / "bin" / "kubectl-weir").symlink_to(WEIR)
        self.lead_to_weir()

    def lead_to_weir(self):
        """A Pod with our address, and the endpoints that a controller would make of it. The plane gives every Pod that runs a loopback
        address, so this one has ended: whom the proxy leads to it asks by name and address alone."""
        ns = self.namespace
        self.plane.api.post(ns.path("pods"), {"metadata": {"name": "weir"}, "spec": {"containers": [{"name": "weir", "image": "weir"}]}})
        wait_for(lambda: ns.get("pods", "weir")["status"].get("podIP"))
        self.plane.api.patch(ns.path("pods", "weir", "status"), {"status": {"phase": "Succeeded", "podIP": self.address,
                                                                            "podIPs": [{"ip": self.address}]}})
        ns.apply(manifest_of(
            {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": f"{self.name}-api"}, "subsets": [{
                "addresses": [{"ip": self.address, "targetRef": {"kind": "Pod", "namespace": ns.name, "name": "weir"}}],
                "ports": [{"name": "api", "port": self.port}]}]},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
             "metadata": {"name": f"{self.name}-api", "labels": {"kubernetes.io/service-name": f"{self.name}-api"}},
             "endpoints": [{"addresses": [self.address], "conditions": {"ready": True},
                            "targetRef": {"kind": "Pod", "namespace": ns.name, "name": "weir"}}],
             "ports": [{"name": "api", "port": self.port}]}))

    def bind(self, user):
        self.namespace.kubectl("create", "rolebinding", f"{user}-looks", "--role", f"{self.name}-viewer", "--user", user)

    def options(self):
        return ["--weir-namespace", self.namespace.name, "--weir-service", f"https:{self.name}-api:api", "--weir-account", f"{self.name}-viewer"]

    def environment(self, user):
        return {"PATH": f"{self.folder / 'bin'}:{self.plane.bin}:/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                "KUBECONFIG": str(self.plane.kubeconfig(user))}

    def ask(self, user, *arguments):
        return subprocess.run(["kubectl", "weir", arguments[0], *self.options(), *arguments[1:]], capture_output=True, text=True, check=False, timeout=60,
                              env=self.environment(user))

    def gone(self):
        self.plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=self.made)


@pytest.fixture
def way(namespace, tmp_path):
    made = Way(namespace, tmp_path)
    yield made
    made.gone()


@pytest.fixture
def asked(way, namespace, weir, source):
    """A Weir that has scaled web to three, and the way to it."""
    source.value = 15
    namespace.create("deployments", deployment("web", 0))
    namespace.apply(manifest_of(scaled_object(source)))
    weir("--watch-namespace", namespace.name, "--api-listen", f"{way.address}:{way.port}")
    namespace.wait_ready(3, "web")
    way.plane.user("alice")
    way.plane.user("mallory")
    way.bind("alice")
    return way


def test_who_is_bound_may_look(asked):
    got = wait_for(lambda: (lambda a: a if a.returncode == 0 else None)(asked.ask("alice", "get")), 30)
    assert f"{asked.namespace.name}/web" in got.stdout and "3/3" in got.stdout
    page = asked.ask("alice", "explain", "web", "-n", asked.namespace.name)
    assert page.returncode == 0 and "load" in page.stdout and "asks for 3" in page.stdout, page
    assert f"\n  Deployment web, 0..100 replicas, mode direct: 3 wanted, 3 ready\n" in page.stdout
    record = json.loads(asked.ask("alice", "explain", f"{asked.namespace.name}/web", "-o", "json").stdout)
    assert record["object"]["name"] == "web" and record["from"] == "weir"
    unknown = asked.ask("alice", "explain", "nobody")
    assert unknown.returncode == 1 and "nobody" in unknown.stderr
    version = subprocess.run([asked.folder / "bin" / "kubectl-weir", "version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("weir ")


def test_top_through_the_proxy(asked):
    with Screen([asked.folder / "bin" / "kubectl-weir", "top", *asked.options()], columns=110, rows=30, **asked.environment("alice")) as screen:
        screen.wait_for("1 objects").wait_for(f"{asked.namespace.name}/web")
        screen.press("enter")
        screen.wait_for("asks for 3")
        screen.press("q", "q")
        assert screen.ended() == 0


def test_who_is_not_bound_may_not(asked):
    got = asked.ask("mallory", "get")
    assert got.returncode == 1 and "refused; add to a Role in namespace" in got.stderr and "serviceaccounts/token" in got.stderr, got
    no_card = asked.ask("mallory", "get", "--weir-account", "")
    assert no_card.returncode == 1 and "services/proxy" in no_card.stderr, no_card


def test_the_way_alone_is_not_enough(asked):
    """Weir answers nobody who shows no token, through the proxy or beside it, and only those who may look."""
    without = asked.ask("alice", "get", "--weir-account", "")
    assert without.returncode == 1 and "--weir-account" in without.stderr, without
    url = f"https://{asked.address}:{asked.port}/api/v1/objects"
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def status(**headers):
        try:
            return urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=trusting, timeout=20).status
        except urllib.error.HTTPError as refusal:
            return refusal.code

    namespace = asked.namespace
    card = namespace.kubectl("create", "token", f"{asked.name}-viewer").strip()
    namespace.kubectl("create", "serviceaccount", "nobody")
    other = namespace.kubectl("create", "token", "nobody").strip()
    assert status() == 401 and status(**{"X-Weir-Token": "x" * 40}) == 401
    assert status(**{"X-Weir-Token": other}) == 403
    assert status(**{"X-Weir-Token": card}) == 200


def test_nothing_can_be_changed_this_way(asked, weir):
    card = asked.namespace.kubectl("create", "token", f"{asked.name}-viewer").strip()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    pause = urllib.request.Request(f"https://{asked.address}:{asked.port}/api/v1/objects/{asked.namespace.name}/web/actions/pause", method="POST",
                                   headers={"X-Weir-Token": card, "Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(pause, context=trusting, timeout=20)
    assert refused.value.code == 403


def test_the_users_own_credentials_stay_with_the_api_server(plane, namespace, tmp_path):
    """What arrives at the Service of a request: a token of the account, and nothing of the user's."""
    way = Way(namespace, tmp_path)
    seen, certificate = [], tmp_path / "pod.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pod", "-keyout", certificate, "-out",
                    tmp_path / "crt"], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + (tmp_path / "crt").read_text())

    class Pod(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            body = b'{"objects":[],"total":0,"matched":0}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer((way.address, way.port), Pod)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        plane.user("bob")
        way.bind("bob")
        got = way.ask("bob", "get")
        assert got.returncode == 0, got
        token = seen[-1]["X-Weir-Token"]
        reviewed = plane.api.post("/apis/authentication.k8s.io/v1/tokenreviews", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}})
        assert reviewed["status"]["user"]["username"] == f"system:serviceaccount:{namespace.name}:{way.name}-viewer"
        assert "Authorization" not in seen[-1] and "bob" not in json.dumps(seen)
        assert len({headers["X-Weir-Token"] for headers in seen}) == 1
    finally:
        server.shutdown()
        server.server_close()
        way.gone()


def test_what_is_not_there_is_named(way):
    way.plane.user("carol")
    way.bind("carol")
    elsewhere = way.ask("carol", "get", "--weir-service", f"https:{way.name}-other:api")
    assert elsewhere.returncode == 1 and re.search(r"services/proxy|not found", elsewhere.stderr), elsewhere
    nobody = way.ask("carol", "get")  # no Weir listens
    assert nobody.returncode == 1 and nobody.stderr.startswith("kubectl weir get: "), nobody
    wrong = subprocess.run([str(way.folder / "bin" / "kubectl-weir"), "run"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "get, explain, top and version" in wrong.stderr
    lost = subprocess.run([str(way.folder / "bin" / "kubectl-weir"), "get", "--kubeconfig", "/does/not/exist"], capture_output=True, text=True,
                          check=False, env={**os.environ, "HOME": str(way.folder)})
    assert lost.returncode == 1 and "/does/not/exist" in lost.stderr
