"""Who may ask a running Weir, on real sockets: refused addresses, tokens, logins, certificates, pages of others."""
import http.client
import json
import secrets
import shutil
import socket
import ssl
import subprocess

import pytest

from cluster import pki
from conftest import WEIR, free_port, manifest, wait_for

JSON = {"Content-Type": "application/json"}
ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
          "Cross-Origin-Resource-Policy": "same-origin"}


def ask(listen, path, method="GET", body=None, headers=(), context=None):
    """Status, headers and body of an answer."""
    host, port = listen.rsplit(":", 1)
    connection = http.client.HTTPSConnection(host, int(port), timeout=10, context=context) if context else \
        http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def served(weir, source):
    """A Weir with one object that listens at a port of its own, as the options say."""

    def make(*options, host="127.0.0.1"):
        w = weir(*options)
        w.write("app.yaml", manifest(source.url))
        w.listen = f"{host}:{free_port()}"
        w.start()
        w.at = f"127.0.0.1:{w.listen.rsplit(':', 1)[1]}"
        return w

    return make


def tokens_in(tmp_path, *names):
    """A file of tokens, and the tokens."""
    tokens = [secrets.token_hex(16) for _ in names]
    path = tmp_path / "tokens"
    path.write_text("# who may ask\n" + "".join(f"{token} {name}\n" for token, name in zip(tokens, names)))
    return path, tokens


@pytest.mark.parametrize("options, message", [
    (["--listen", "0.0.0.0:0"], "nobody would be asked who they are; add --token-file"),
    (["--listen", ":0"], "nobody would be asked who they are"),
    (["--listen", "0.0.0.0:0", "--tls-cert", "missing.crt", "--tls-key", "missing.key"], "--tls-cert"),
    (["--tls-cert", "a.crt"], "belong together"),
    (["--client-ca", "ca.crt"], "--client-ca needs TLS"),
    (["--token-file", "missing"], "--token-file"),
])
def test_it_does_not_start_where_strangers_could_ask(tmp_path, source, options, message):
    (tmp_path / "app.yaml").write_text(manifest(source.url))
    run = subprocess.run([str(WEIR), "run", "app.yaml", "--data-dir", "data", *options], cwd=tmp_path, capture_output=True, text=True,
                         timeout=20, check=False)
    assert run.returncode != 0
    assert message in run.stderr


def test_every_answer_says_what_pages_may_do(served):
    w = served()
    for path, status in (("/", 200), ("/api/v1/objects", 200), ("/healthz", 200), ("/nothing", 404), ("/%zz", 400)):
        got, headers, _ = ask(w.at, path)
        assert got == status
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert {name: headers[name] for name in ALWAYS} == ALWAYS, path


@pytest.mark.parametrize("headers, status", [
    ({}, 200),
    ({"Host": "localhost:8642"}, 200),
    ({"Host": "evil.example"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
    ({"Origin": "http://evil.example"}, 403),
])
def test_loopback_is_for_this_machine(served, headers, status):
    w = served()
    got, _, body = ask(w.at, "/api/v1/session", headers=headers)
    assert got == status
    if status == 200:
        assert {key: json.loads(body)[key] for key in ("user", "canAct", "platform")} == {"user": "", "canAct": False, "platform": "local"}
    else:
        assert json.loads(body)["error"]


def test_only_reading_is_allowed_unless_asked_for(served):
    w = served()
    for path, method in (("/api/v1/objects/default/app/actions/pause", "POST"), ("/api/v1/log-levels", "PUT")):
        status, _, body = ask(w.at, path, method, "{}", JSON)
        assert status == 403 and "--allow-actions" in json.loads(body)["error"]
    assert ask(w.at, "/api/v1/objects/default/app/what-if", "POST", "{}", JSON)[0] == 200
    assert ask(w.at, "/api/v1/objects/default/app/what-if", "POST", "{}", {"Content-Type": "text/plain"})[0] == 415
    assert w.object()["paused"] is False


def test_tokens(served, tmp_path):
    path, (alice, bob) = tokens_in(tmp_path, "alice", "bob of ops")
    w = served("--token-file", path, host="0.0.0.0")
    assert ask(w.at, "/api/v1/session")[0] == 401
    assert ask(w.at, "/metrics")[0] == 401
    assert ask(w.at, "/healthz")[0] == 200
    assert json.loads(ask(w.at, "/api/v1/session", headers=bearer(bob))[2])["user"] == "bob of ops"
    assert json.loads(w.get("/api/v1/session"))["user"] == "owner", "by the Unix socket"
    path.write_text(f"{alice} alice\n")
    wait_for(lambda: ask(w.at, "/api/v1/session", headers=bearer(bob))[0] == 401)
    assert ask(w.at, "/api/v1/session", headers=bearer(alice))[0] == 200
    log = w.log_text()
    assert "tokens come in the clear" in log
    assert alice not in log and bob not in log


def test_a_browser_logs_in_and_out(served, tmp_path):
    path, (alice, ) = tokens_in(tmp_path, "alice")
    w = served("--token-file", path)
    status, _, page = ask(w.at, "/", headers={"Accept": "text/html"})
    assert status == 401 and 'action="/login"' in page and "<script" not in page
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(w.at, "/login", "POST", "token=wrong", form)[0] == 401
    status, headers, _ = ask(w.at, "/login", "POST", f"token={alice}", form)
    assert status == 303 and headers["Location"] == "/"
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and alice not in cookie
    session = {"Cookie": cookie.split(";")[0]}
    assert json.loads(ask(w.at, "/api/v1/session", headers=session)[2])["user"] == "alice"
    assert ask(w.at, "/", headers=session)[0] == 200
    assert ask(w.at, "/logout", "POST", None, {**JSON, **session})[0] == 204
    assert ask(w.at, "/api/v1/session", headers=session)[0] == 401


def begin_stream(at, headers):
    host, port = at.split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: {at}\r\n{lines}\r\n".encode())
    return connection


def test_streams_need_to_be_known_too(served, tmp_path):
    path, (alice, ) = tokens_in(tmp_path, "alice")
    w = served("--token-file", path)
    with begin_stream(w.at, {}) as stranger, begin_stream(w.at, bearer(alice)) as known:
        assert stranger.recv(4096).startswith(b"HTTP/1.1 401 ")
        got = b""
        while b"event: hello" not in got:
            more = known.recv(4096)
            assert more, got
            got += more
        assert got.startswith(b"HTTP/1.1 200 OK") and b"Content-Security-Policy" in got


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki") / "pki"
    pki.make_authorities(folder)
    pki.finish([pki.serving(folder, "weir", "IP:127.0.0.1"), pki.serving(folder, "renewed", "IP:127.0.0.1"),
                pki.client(folder, "carol", "/CN=carol"), pki.client(folder, "mallory", "/CN=mallory", "front-ca")])
    return folder


def trusting(folder, who=None):
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    if who:
        context.load_cert_chain(folder / f"{who}.crt", folder / f"{who}.key")
    return context


def test_certificates_of_clients(served, authorities):
    w = served("--tls-cert", authorities / "weir.crt", "--tls-key", authorities / "weir.key", "--client-ca", authorities / "ca.crt",
               host="0.0.0.0")
    status, _, body = ask(w.at, "/api/v1/session", context=trusting(authorities, "carol"))
    assert status == 200 and json.loads(body)["user"] == "carol"
    assert ask(w.at, "/api/v1/session", context=trusting(authorities, "mallory"))[0] == 401
    assert ask(w.at, "/api/v1/session", context=trusting(authorities))[0] == 401
    assert ask(w.at, "/healthz", context=trusting(authorities))[0] == 200


def test_the_certificate_is_renewed_while_it_runs(served, authorities, tmp_path):
    pair = [tmp_path / "tls.crt", tmp_path / "tls.key"]
    path, (alice, ) = tokens_in(tmp_path, "alice")

    def put(name):
        for to in pair:
            shutil.copy(authorities / (name + to.suffix), to)

    def shown():
        host, port = w.at.split(":")
        with socket.create_connection((host, int(port))) as plain, trusting(authorities).wrap_socket(plain, server_hostname=host) as tls:
            return dict(part[0] for part in tls.getpeercert()["subject"])["commonName"]

    put("weir")
    w = served("--tls-cert", pair[0], "--tls-key", pair[1], "--token-file", path)
    status, headers, _ = ask(w.at, "/login", "POST", json.dumps({"token": alice}), JSON, trusting(authorities))
    assert status == 200 and "; Secure" in headers["Set-Cookie"]
    assert shown() == "weir"
    put("renewed")
    wait_for(lambda: shown() == "renewed", 40, 1)
    assert "in the clear" not in w.log_text()
