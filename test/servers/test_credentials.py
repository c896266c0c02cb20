"""Where credentials come from, seen by an API that lets in only who has the right one. Tokens by client credentials are a real server's
(oauth2-mock-server); Vault is a stand-in (vault_stand_in.py)."""
import base64
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import probe, scaled_object, secret, trigger, wait_for
from install import needed, npm
from server import Server, free_port
from vault_stand_in import VaultStandIn


class Api:
    """Says a number to who has the password; to others it repeats what they sent. Also speaks as Pulsar's admin API."""

    def __init__(self):
        self.password, self.value, self.seen = "s3cret-one", 7, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                sent = self.headers.get("Authorization", "")
                outer.seen.append(sent)
                fine = sent == f"Bearer {outer.password}" if isinstance(outer.password, str) else outer.password(sent)
                said = {"value": outer.value, "subscriptions": {"sub": {"msgBacklog": outer.value}}} if fine else {"refused": sent}
                body = json.dumps(said).encode()
                self.send_response(200 if fine else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api():
    made = Api()
    yield made
    made.stop()


@pytest.fixture
def vault():
    made = VaultStandIn()
    made.secrets["secret/data/api"] = {"data": {"token": "s3cret-one"}, "metadata": {"version": 1}}
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def no_vault_of_ours(monkeypatch):
    for name in ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT", "VAULT_NAMESPACE", "VAULT_SKIP_VERIFY"):
        monkeypatch.delenv(name, raising=False)


def manifest(api, spec, *more, kind="TriggerAuthentication", type_="metrics-api", metadata=None, annotations=None, **fields):
    """An object that asks the API with what the authentication supplies."""
    metadata = metadata or {"url": f"{api.url}/value", "valueLocation": "value", "targetValue": 5, "authMode": "bearer"}
    documents = [{"apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": "auth", "annotations": annotations or {}}, "spec": spec}, *more]
    return "".join("---\n" + json.dumps(document) + "\n" for document in documents) + scaled_object(
        trigger(type_, metadata, authenticationRef={"name": "auth", "kind": kind}), **fields)


def seen(text, *options):
    return probe(text, *options)["objects"][0]["triggers"][0]


def by_vault(vault, *, path="secret/data/api", key="token", credential=None, **more):
    return {"hashiCorpVault": {"address": vault.address, "authentication": "token", "credential": credential or {"token": "root-token"},
                               "secrets": [{"parameter": "token", "path": path, "key": key}], **more}}


# ---- Vault

def test_value(api, vault):
    said = seen(manifest(api, by_vault(vault, namespace="team-a")))
    assert (said["state"], said["value"]) == ("ok", 7), said
    assert api.seen == ["Bearer s3cret-one"]
    assert {namespace for *_, namespace in vault.asked} == {"team-a"}


def test_first_version(api, vault):
    vault.secrets["kv/api"] = {"token": "s3cret-one"}
    assert seen(manifest(api, by_vault(vault, path="kv/api")))["value"] == 7


@pytest.mark.parametrize("change, says", [
    ({"credential": {"token": "other-token"}}, "answered 403"),
    ({"path": "secret/data/gone"}, "has nothing at secret/data/gone"),
    ({"path": "secret/api"}, "the path has data/ behind the mount"),
    ({"key": "gone"}, "has no gone"),
    ({"path": "secret/data/../../sys/seal"}, "path has to be"),
])
def test_not_there(api, vault, change, says):
    said = seen(manifest(api, by_vault(vault, **change)))
    assert said["state"] == "failed" and says in said["error"], said
    assert "other-token" not in said["error"]
    assert api.seen == []  # nobody is asked without the credential that was meant


def test_nobody_there(api, vault):
    text = manifest(api, by_vault(vault))
    vault.stop()
    said = seen(text)
    assert said["state"] == "failed" and "Vault at 127.0.0.1" in said["error"], said


def test_certificates(api, pki, monkeypatch):
    vault = VaultStandIn(pki)
    vault.secrets["secret/data/api"] = {"data": {"token": "s3cret-one"}}
    try:
        text = manifest(api, by_vault(vault))
        said = seen(text)
        assert said["state"] == "failed" and "certificate" in said["error"], said
        monkeypatch.setenv("VAULT_CACERT", str(pki.path("wrong-ca.crt")))
        assert seen(text)["state"] == "failed"
        assert api.seen == []
        monkeypatch.setenv("VAULT_CACERT", str(pki.path("ca.crt")))
        assert seen(text)["value"] == 7
    finally:
        vault.stop()


def test_issued(tls_api, pki):
    """A certificate that Vault issues signs in at a server that asks for one."""
    vault = VaultStandIn(pki)
    try:
        secrets_ = [{"parameter": name, "path": "pki/issue/weir", "key": key, "type": "pki", "pkiData": {"commonName": "weir", "ttl": "1h"}}
                    for name, key in (("cert", "certificate"), ("key", "private_key"), ("ca", "ca_chain"))]
        spec = by_vault(vault)
        spec["hashiCorpVault"]["secrets"] = secrets_
        vault_ca = {"VAULT_CACERT": str(pki.path("ca.crt"))}
        with pytest.MonkeyPatch.context() as patch:
            for name, path in vault_ca.items():
                patch.setenv(name, path)
            said = seen(manifest(None, spec, metadata={"url": f"https://localhost:{tls_api.port}/value", "valueLocation": "value",
                                                       "targetValue": 5, "authMode": "tls"}))
        assert (said["state"], said["value"]) == ("ok", 11), said
        assert vault.issued == [{"common_name": "weir", "ttl": "1h"}]
    finally:
        vault.stop()


@pytest.fixture
def tls_api(pki):
    """A server that lets in only who has a certificate of the authority."""
    import ssl

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"value": 11}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.path("server.crt"), pki.path("server.key"))
    context.load_verify_locations(pki.path("ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.port = server.server_port
    yield server
    server.shutdown()
    server.server_close()


def test_own_token_is_nobodys(api, vault, monkeypatch):
    """Weir's own token goes to the Vault that its operator names, for namespaces that he names, not to any that a TriggerAuthentication does
    (failure-modes A3)."""
    monkeypatch.setenv("VAULT_TOKEN", "root-token")
    spec = by_vault(vault)
    del spec["hashiCorpVault"]["credential"]

    def said(*options, **fields):
        return seen(manifest(api, spec, **fields), "--env", "VAULT_TOKEN", *options)

    assert said()["state"] == "failed" and "$VAULT_ADDR" in said()["error"]
    monkeypatch.setenv("VAULT_ADDR", vault.address)
    assert said()["state"] == "failed"
    assert said("--vault-namespaces", "shop")["state"] == "failed"
    assert vault.asked == []
    assert said("--vault-namespaces", "shop,def*")["value"] == 7
    monkeypatch.delenv("VAULT_ADDR")
    assert said("--vault-namespaces", "default")["state"] == "failed"
    assert said(kind="ClusterTriggerAuthentication")["value"] == 7


def test_own_account_is_nobodys(api, vault):
    """Nor does the token of its service account, or any other file of the machine."""
    spec = by_vault(vault)
    spec["hashiCorpVault"].update(authentication="kubernetes", mount="kubernetes", role="weir", credential={"serviceAccount": "/etc/hostname"})
    said = seen(manifest(api, spec))
    assert said["state"] == "failed" and "is only for a ClusterTriggerAuthentication" in said["error"], said
    said = seen(manifest(api, spec, kind="ClusterTriggerAuthentication"))
    assert said["state"] == "failed" and "/etc/hostname is neither" in said["error"], said
    assert vault.jwts == []


def running_value(weir):
    status = weir.object()
    return status["triggers"][0].get("value") if status.get("triggers") else None


def test_rotated(api, vault, weir):
    """The API takes another password from now on, and Vault has it: the next refusal has it read again, and asked once more."""
    running = weir(manifest(api, by_vault(vault), pollingInterval=2))
    wait_for(lambda: running_value(running) == 7)
    time.sleep(16)  # what was read just now is not read again
    vault.secrets["secret/data/api"]["data"]["token"] = "s3cret-two"
    api.password, api.value, begun = "s3cret-two", 9, time.monotonic()
    wait_for(lambda: running_value(running) == 9)
    assert time.monotonic() - begun < 5  # one poll of 2 s, and what tests take
    old = api.seen.count("Bearer s3cret-one")
    time.sleep(5)
    assert api.seen.count("Bearer s3cret-one") == old  # it is not used any more
    said = running.log_text() + running.get("/api/v1/objects/default/app") + running.get("/metrics")
    assert "s3cret" not in said and "root-token" not in said


def test_lent(api, vault, weir):
    """What Vault lends is renewed while it is needed, and given back when it is not."""
    vault.lease_s = 6
    api.password = lambda sent: sent in {f"Bearer {password}" for password in vault.leases.values()}
    running = weir(manifest(api, by_vault(vault, path="database/creds/reader", key="password"), pollingInterval=2))
    wait_for(lambda: running_value(running) == 7)
    time.sleep(10)
    assert running_value(running) == 7 and vault.made == 1
    assert ("POST", "/v1/sys/leases/renew") in {(method, path) for method, path, *_ in vault.asked}
    (running.folder / "manifests" / "app.yaml").unlink()
    wait_for(lambda: vault.revoked == ["database/creds/reader/1"], 120)


def test_lent_until_the_end(api, vault, weir):
    """Weir stops: what is lent goes back before it is gone."""
    vault.lease_s = 600
    api.password = lambda sent: sent in {f"Bearer {password}" for password in vault.leases.values()}
    running = weir(manifest(api, by_vault(vault, path="database/creds/reader", key="password"), pollingInterval=2))
    wait_for(lambda: running_value(running) == 7)
    running.stop()
    assert vault.revoked == ["database/creds/reader/1"]


def test_lent_to_a_probe(api, vault):
    vault.lease_s = 600
    api.password = lambda sent: sent in {f"Bearer {password}" for password in vault.leases.values()}
    assert seen(manifest(api, by_vault(vault, path="database/creds/reader", key="password")))["value"] == 7
    assert vault.revoked == ["database/creds/reader/1"]


def test_away_and_back(api, vault, weir):
    """Vault goes: what was read stays in use. It is not there at the start: it is read when it comes."""
    running = weir(manifest(api, by_vault(vault), pollingInterval=1))
    wait_for(lambda: running_value(running) == 7)
    vault.stop()
    api.value = 8
    wait_for(lambda: running_value(running) == 8)
    running.stop()
    again = weir(manifest(api, by_vault(vault), pollingInterval=1))
    wait_for(lambda: "Vault at" in again.get("/api/v1/objects/default/app"))
    vault.start()
    wait_for(lambda: running_value(again) == 8)


# ---- whom it is for

CLUSTER = {"secretTargetRef": [{"parameter": "token", "name": "api", "key": "token"}]}


def bound(api, kind="ClusterTriggerAuthentication", **annotations):
    return manifest(api, CLUSTER, secret("api", {"token": "s3cret-one"}), kind=kind,
                    annotations={f"weir.dev/{key.replace('_', '-')}": value for key, value in annotations.items()})


def test_allowed_hosts(api):
    """A tenant names the address; the owner of the secret, where it may go (failure-modes A3)."""
    port = api.url.rpartition(":")[2]
    for hosts in ("127.0.0.1", f"db, 127.0.0.1:{port}"):
        assert seen(bound(api, allowed_hosts=hosts))["value"] == 7
    asked = len(api.seen)
    for hosts in ("", "*.example.com", "127.0.0.1:1", "localhost"):
        for kind in ("ClusterTriggerAuthentication", "TriggerAuthentication"):
            said = seen(bound(api, kind, allowed_hosts=hosts))
            assert said["state"] == "failed" and f"127.0.0.1:{port} is not among the hosts" in said["error"], said
            assert "weir.dev/allowed-hosts" in said["error"]
    said = seen(bound(api, allowed_hosts="https://127.0.0.1"))
    assert said["state"] == "failed" and "is no host" in said["error"], said
    assert len(api.seen) == asked


def test_allowed_namespaces(api):
    assert seen(bound(api, allowed_namespaces="shop, default"))["value"] == 7
    said = seen(bound(api, allowed_namespaces="shop"))
    assert said["state"] == "failed" and "not for namespace default" in said["error"], said
    assert len(api.seen) == 1


def test_binding_changes(api, weir):
    """The list is edited while it runs: the trigger is refused, and asked again when it may be."""
    running = weir(bound(api, allowed_hosts="127.0.0.1"))
    wait_for(lambda: running_value(running) == 7)
    path = running.folder / "manifests" / "app.yaml"
    path.write_text(bound(api, allowed_hosts="elsewhere"))
    wait_for(lambda: "is not among the hosts" in running.get("/api/v1/objects/default/app"), 20)
    asked = len(api.seen)
    path.write_text(bound(api, allowed_hosts="127.0.0.1"))
    wait_for(lambda: len(api.seen) > asked, 20)


# ---- files

def test_file(api, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "creds.json").write_text(json.dumps({"token": "s3cret-one"}))
    (tmp_path / "outside.json").write_text(json.dumps({"token": "s3cret-one"}))
    (tmp_path / "root" / "out.json").symlink_to("../outside.json")
    options = ("--filepath-auth-root-path", tmp_path / "root")
    text = manifest(api, {"filePath": "creds.json"}, kind="ClusterTriggerAuthentication")
    assert seen(text, *options)["value"] == 7
    assert "--filepath-auth-root-path" in seen(text)["error"]
    assert "only for a ClusterTriggerAuthentication" in seen(manifest(api, {"filePath": "creds.json"}), *options)["error"]
    for path in ("../outside.json", "out.json", "/etc/hostname"):
        said = seen(manifest(api, {"filePath": path}, kind="ClusterTriggerAuthentication"), *options)
        assert said["state"] == "failed" and "s3cret" not in json.dumps(said), said


def test_no_accounts_here(api):
    said = seen(manifest(api, {"boundServiceAccountToken": [{"parameter": "token", "serviceAccountName": "reader"}]}))
    assert said["state"] == "failed" and "only in a cluster" in said["error"], said


# ---- OAuth2

class Issuer(Server):
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        modules = npm("oauth2-mock-server", "oauth2-mock-server@8.2.3")
        super().__init__(folder, "issuer", [needed("node", "nodejs"), modules / "node_modules/oauth2-mock-server/dist/oauth2-mock-server.mjs",
                                            "-a", "127.0.0.1", "-p", self.port], ready=f"{self.url}/.well-known/openid-configuration")


@pytest.fixture(scope="session")
def issuer(servers):
    return servers.once(Issuer)


def claims(sent):
    """Of a JSON web token that was sent as a bearer's."""
    try:
        payload = sent.removeprefix("Bearer ").split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}


def by_oauth2(url, **more):
    return {"oauth2": {"type": "clientCredentials", "clientId": "weir", "tokenUrl": url, "scopes": ["metrics:read"],
                       "clientSecret": {"valueFrom": {"secretKeyRef": {"name": "client", "key": "secret"}}}, **more}}


def pulsar(api, spec, **fields):
    return manifest(api, spec, secret("client", {"secret": "c1ient-s3cret"}), type_="pulsar", metadata={
        "adminURL": api.url, "topic": "persistent://public/default/jobs", "subscription": "sub", "msgBacklogThreshold": 5,
        "authModes": "oauth"}, **fields)


def test_token(api, issuer):
    api.password = lambda sent: str(claims(sent).get("iss", "")).endswith(f":{issuer.port}")
    said = seen(pulsar(api, by_oauth2(f"{issuer.url}/token")))
    assert (said["state"], said["value"], said["active"]) == ("ok", 7, True), said
    assert claims(api.seen[0])["scope"] == "metrics:read"


def test_one_token_for_all_polls(api, issuer, weir):
    api.password = lambda sent: bool(claims(sent))
    running = weir(pulsar(api, by_oauth2(f"{issuer.url}/token"), pollingInterval=1))
    wait_for(lambda: running_value(running) == 7)
    wait_for(lambda: len(api.seen) >= 4)
    assert len(set(api.seen)) == 1
    first = api.seen[0]
    time.sleep(6)  # a token that was made just now would not be replaced
    api.password = lambda sent: bool(claims(sent)) and sent != first  # revoked
    api.value = 9
    wait_for(lambda: running_value(running) == 9)
    assert running.object()["triggers"][0]["failures"] == 0  # asked once more in the same poll


@pytest.mark.parametrize("url, says", [("{issuer}/nothing", "gives no token"), ("http://127.0.0.1:1/token", "no token from 127.0.0.1:1")])
def test_no_token(api, issuer, url, says):
    said = seen(pulsar(api, by_oauth2(url.format(issuer=issuer.url))))
    assert said["state"] == "failed" and says in said["error"], said
    assert api.seen == [] and "c1ient" not in json.dumps(said)


def test_secret_is_missing(api, issuer):
    spec = by_oauth2(f"{issuer.url}/token", clientSecret={"valueFrom": {"secretKeyRef": {"name": "client", "key": "gone"}}})
    said = seen(pulsar(api, spec))
    assert said["state"] == "failed" and "the key gone of Secret default/client" in said["error"], said


def test_secret_is_rotated(api, weir):
    """A server of tokens that knows one secret at a time: the Secret is edited, and the next poll has it."""
    known = {"secret": "c1ient-s3cret"}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            sent = base64.b64decode(self.headers.get("Authorization", "Basic ").split(" ")[1]).decode()
            fine = urllib.parse.unquote(sent) == f"weir:{known['secret']}"
            body = json.dumps({"access_token": f"for-{known['secret'][-3:]}", "expires_in": 3600} if fine else {"error": "invalid_client"}).encode()
            self.send_response(200 if fine else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        api.password = lambda sent: sent == f"Bearer for-{known['secret'][-3:]}"
        text = pulsar(api, by_oauth2(f"http://127.0.0.1:{server.server_port}/token"), pollingInterval=1)
        running = weir(text)
        wait_for(lambda: running_value(running) == 7)
        known["secret"], api.value = "c1ient-other", 9
        path = running.folder / "manifests" / "app.yaml"
        path.write_text(text.replace(base64.b64encode(b"c1ient-s3cret").decode(), base64.b64encode(b"c1ient-other").decode()))
        wait_for(lambda: running_value(running) == 9, 20)
    finally:
        server.shutdown()
        server.server_close()
