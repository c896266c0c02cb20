"""A stand-in for HashiCorp Vault and OpenBao, and called one: no Vault can be had here (its last free version does not build as it is).
It speaks what Weir asks of the real one, as Vault's API documentation has it: tokens and their renewal, logins of service accounts, both versions
of the key-value engine, credentials that are lent and renewed, certificates.

    vault = VaultStandIn()                                    # or VaultStandIn(pki) over TLS
    vault.secrets["secret/data/api"] = {"data": {"token": "s3cret"}, "metadata": {"version": 1}}
    vault.revoke(token); vault.stop(); vault.start()
    vault.asked                                               # [("GET", "/v1/secret/data/api", token, namespace)]
"""
import json
import secrets
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from server import free_port


class VaultStandIn:
    def __init__(self, pki=None):
        self.pki, self.port = pki, free_port()
        self.tokens, self.secrets, self.leases, self.asked = {"root-token": None}, {}, {}, []
        self.revoked, self.made, self.lease_s, self.login_s = [], 0, 60, 600
        self.jwts, self.issued = [], []
        self.server = None
        self.start()

    @property
    def address(self):
        return f"{'https' if self.pki else 'http'}://127.0.0.1:{self.port}"

    def start(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                token, path = self.headers.get("X-Vault-Token"), self.path
                outer.asked.append((self.command, path, token, self.headers.get("X-Vault-Namespace")))
                status, answer = outer.answer(self.command, path.removeprefix("/v1/"), token, body)
                said = json.dumps(answer).encode() if answer is not None else b""
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # who does not trust the certificate hangs up

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.pki:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.pki.path("server.crt"), self.pki.path("server.key"))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None

    def revoke(self, token):
        self.tokens.pop(token, None)

    def log_in(self, body):
        self.jwts.append(body.get("jwt"))
        if body.get("role") != "weir":
            return 400, {"errors": [f"invalid role name {body.get('role')!r}"]}
        token = f"login-{secrets.token_hex(8)}"
        self.tokens[token] = self.login_s
        return 200, {"auth": {"client_token": token, "lease_duration": self.login_s, "renewable": True}}

    def answer(self, method, path, token, body):
        if path.startswith("auth/") and path.endswith("/login"):
            return self.log_in(body)
        if token not in self.tokens:
            return 403, {"errors": [f"permission denied for {token}"]}
        if path == "auth/token/lookup-self":
            return 200, {"data": {"ttl": self.tokens[token] or 0, "renewable": bool(self.tokens[token])}}
        if path == "auth/token/renew-self":
            return 200, {"auth": {"client_token": token, "lease_duration": self.tokens[token] or 0, "renewable": True}}
        if path == "auth/token/revoke-self":
            self.revoked.append(token)
            self.revoke(token)
            return 204, None
        if path in ("sys/leases/renew", "sys/leases/revoke"):
            lease = body.get("lease_id")
            if lease not in self.leases:
                return 400, {"errors": ["lease not found"]}
            if path.endswith("revoke"):
                self.revoked.append(lease)
                del self.leases[lease]
                return 204, None
            return 200, {"lease_id": lease, "lease_duration": self.lease_s, "renewable": True}
        if path.startswith("database/creds/"):
            self.made += 1
            lease = f"{path}/{self.made}"
            self.leases[lease] = f"lent-{self.made}"
            return 200, {"lease_id": lease, "lease_duration": self.lease_s, "renewable": True, "data": {"password": self.leases[lease]}}
        if path.startswith("pki/issue/") and method in ("POST", "PUT"):
            self.issued.append(body)
            return 200, {"data": {"certificate": self.pki.text("client.crt"), "private_key": self.pki.text("client.key"),
                                  "ca_chain": [self.pki.text("ca.crt")]}}
        if path in self.secrets:
            return 200, {"lease_id": "", "lease_duration": 2764800, "renewable": False, "data": self.secrets[path]}
        return 404, {"errors": []}
