"""A server of OAuth2 tokens (client credentials) that signs them (RS256), publishes its key, and does as it is told.

    issuer.token_url, issuer.keys_url          for whoever asks for tokens, and whoever looks at them
    issuer.life_s = 6                          of the tokens to come
    issuer.spoilt = True                       their signature is by another key
    issuer.asked                               the forms that came with the right secret
    issuer.behave()                            as at first

The client is weir with the secret c1ient-s3cret; others are told invalid_client.
"""
import base64
import json
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CLIENT, SECRET = "weir", "c1ient-s3cret"


def encoded(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


class Issuer:
    def __init__(self, folder):
        self.keys = {name: folder / f"{name}.key" for name in ("good", "other")}
        for path in self.keys.values():
            subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
        said = subprocess.run(["openssl", "rsa", "-in", self.keys["good"], "-noout", "-modulus"], check=True, capture_output=True, text=True)
        self.modulus = bytes.fromhex(said.stdout.strip().split("=")[1])
        self.behave()

    def behave(self):
        self.life_s, self.spoilt, self.asked = 3600, False, []

    def token(self, scope):
        now = int(time.time())
        claims = {"iss": self.url, "sub": CLIENT, "aud": "kafka", "scope": scope, "iat": now - 1, "exp": now + self.life_s,
                  "jti": str(len(self.asked))}
        signed = f"{encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': 'k1'})}.{encoded(claims)}"
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.keys["other" if self.spoilt else "good"]],
                                   input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{encoded(signature)}"

    def answer(self, authorization, form):
        sent = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ":"
        client = [urllib.parse.unquote_plus(part) for part in sent.split(":", 1)]
        if client == ["", ""]:
            client = [form.get("client_id"), form.get("client_secret")]
        if client != [CLIENT, SECRET] or form.get("grant_type") != "client_credentials":
            return 401, {"error": "invalid_client"}
        self.asked.append(form)
        return 200, {"access_token": self.token(form.get("scope") or "usual"), "token_type": "Bearer", "expires_in": self.life_s}

    def start(self):
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.reply(200, {"keys": [{"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig", "e": "AQAB",
                                           "n": encoded(issuer.modulus)}]})

            def do_POST(self):
                form = urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.reply(*issuer.answer(self.headers.get("Authorization"), dict(form)))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.token_url, self.keys_url = f"{self.url}/token", f"{self.url}/jwks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def issuer(place):
    server = Issuer(place("issuer")).start()
    yield server
    server.stop()
