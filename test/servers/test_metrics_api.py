"""metrics-api on a real HTTP server, with nginx in front for what that server does not speak: TLS, client certificates, logins."""
import json
import sys

import pytest

from conftest import failed, scaled_object, trigger, value, wait_for
from server import Server, free_port


class Files(Server):
    """Serves its folder, plainly."""

    def __init__(self, folder):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(folder, "files", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port], ready=self.url)

    def put(self, number):
        (self.folder / "load.json").write_text(json.dumps({"queue": {"length": number}}))


@pytest.fixture(scope="module")
def files(servers):
    server = servers.once(Files)
    server.put(35)
    return server


def asking(base, **more):
    return {"url": base + "/load.json", "valueLocation": "queue.length", "targetValue": 10, **more}


def test_value(files):
    assert value("metrics-api", asking(files.url)) == 35
    assert "404" in failed("metrics-api", {**asking(files.url), "url": files.url + "/nothing.json"})


@pytest.mark.parametrize("path, metadata, auth, wrong", [
    ("/basic", {"authMode": "basic"}, {"username": "user", "password": "pw"}, {"username": "user", "password": "other"}),
    ("/bearer", {"authMode": "bearer"}, {"token": "token"}, {"token": "other"}),
    ("/key", {"authMode": "apiKey"}, {"apiKey": "k1"}, {"apiKey": "other"}),
    ("/key-query", {"authMode": "apiKey", "method": "query", "keyParamName": "api_key"}, {"apiKey": "k1"}, {"apiKey": "other"})])
def test_logins(files, nginx, path, metadata, auth, wrong):
    front = nginx(files.url)
    assert value("metrics-api", asking(front.plain + path, **metadata), auth) == 35
    assert "40" in failed("metrics-api", asking(front.plain + path, **metadata), wrong)


def test_tls(files, nginx, pki):
    front = nginx(files.url)
    metadata = asking(front.tls, authMode="tls")
    assert value("metrics-api", metadata, pki.client()) == 35
    failed("metrics-api", metadata, pki.client(ca="wrong-ca"))
    failed("metrics-api", asking(front.tls))
    assert value("metrics-api", asking(front.tls, unsafeSsl=True)) == 35


def test_client_certificate(files, nginx, pki):
    front = nginx(files.url, client_certificate=True)
    assert value("metrics-api", asking(front.tls, authMode="tls"), pki.client()) == 35
    assert "400" in failed("metrics-api", asking(front.tls, authMode="tls"), pki.client("wrong-client"))


def test_a_certificate_for_another_host(files, nginx, pki):
    front = nginx(files.url, certificate="elsewhere")
    failed("metrics-api", asking(front.tls, authMode="tls"), pki.client())


def test_rotated_and_restarted(files, nginx, weir):
    front = nginx(files.url)

    def manifest(password):
        return scaled_object(trigger("metrics-api", asking(front.plain + "/basic", authMode="basic"),
                                     {"username": "user", "password": password}), pollingInterval=1)

    def state():
        return (running.object().get("triggers") or [{}])[0].get("state")

    running = weir(manifest("pw"))
    wait_for(lambda: state() == "ok")
    front.login("new")
    wait_for(lambda: state() == "failed")
    (running.folder / "manifests" / "app.yaml").write_text(manifest("new"))
    wait_for(lambda: state() == "ok")
    front.stop()
    wait_for(lambda: state() == "failed")
    front.start()
    wait_for(lambda: state() == "ok")
