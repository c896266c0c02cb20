"""nginx in front of an HTTP server that has no TLS or no login of its own.

    front = nginx(upstream.url)            # fixture; nginx(url, client_certificate=True) demands one
    front.plain, front.tls                 # http://127.0.0.1:P and https://localhost:P: passed on as they are
    front.tls + "/basic"                   # with user "user" and password "pw", else 401; the rest of the path is passed on
    front.tls + "/bearer"                  # with token "token", else 401
    front.tls + "/key", "/key-query"       # header X-API-Key or parameter api_key "k1", else 403
    front.login("other")                   # from now on password, token and key are this one: rotated
    front.asked()                          # the requests it saw: "200 GET /path ..." one a line

Without its client certificate it answers 400: the handshake itself is good.
"""
import os
import subprocess

import pytest

from install import apt
from server import Server, free_ports

CONFIG = """{user}worker_processes 1; pid {folder}/master.pid; error_log {folder}/error.log; events {{ worker_connections 4096; }}
http {{
 log_format short '$status $request'; access_log {folder}/access.log short;
 client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
 scgi_temp_path {folder}/t5; proxy_http_version 1.1; proxy_set_header Host $proxy_host;
 server {{
  listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2;
  ssl_certificate {pki}/{certificate}.crt; ssl_certificate_key {pki}/{certificate}.key; {verify}
  location / {{ proxy_pass {upstream}; }}
  location /basic/ {{ auth_basic x; auth_basic_user_file {folder}/htpasswd; proxy_set_header Authorization ""; proxy_pass {upstream}/; }}
  location /bearer/ {{ if ($http_authorization != "Bearer {token}") {{ return 401; }}
   proxy_set_header Authorization ""; proxy_pass {upstream}/; }}
  location /key/ {{ if ($http_x_api_key != "{key}") {{ return 403; }} proxy_pass {upstream}/; }}
  location /key-query/ {{ if ($arg_api_key != "{key}") {{ return 403; }} proxy_pass {upstream}/; }}
 }}
}}
"""


class Nginx(Server):
    """certificate: of the PKI, for showing a wrong one ("wrong-server", "elsewhere")."""

    def __init__(self, folder, pki, upstream, client_certificate=False, certificate="server"):
        apt("nginx-light")
        self.pki, self.upstream, self.client_certificate, self.certificate = pki, upstream.rstrip("/"), client_certificate, certificate
        self.plain_port, self.tls_port = free_ports(2)
        self.password, self.token, self.key = "pw", "token", "k1"
        self.plain, self.tls = f"http://127.0.0.1:{self.plain_port}", f"https://localhost:{self.tls_port}"
        super().__init__(folder, "nginx", ["nginx", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"], ready=self.plain_port)

    def prepare(self):
        hashed = subprocess.run(["openssl", "passwd", "-apr1", self.password], capture_output=True, text=True, check=True).stdout
        (self.folder / "htpasswd").write_text(f"user:{hashed}")
        demanded = f"ssl_client_certificate {self.pki.path('ca.crt')}; ssl_verify_client on;" if self.client_certificate else ""
        (self.folder / "nginx.conf").write_text(CONFIG.format(
            user="user root; " if os.geteuid() == 0 else "", folder=self.folder, plain=self.plain_port, tls=self.tls_port,
            pki=self.pki.folder, certificate=self.certificate, verify=demanded, upstream=self.upstream, token=self.token, key=self.key))

    def login(self, word):
        self.password = self.token = self.key = word
        self.restart()

    def asked(self):
        path = self.folder / "access.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def nginx(place, pki):
    made = []

    def make(upstream, **options):
        made.append(Nginx(place("nginx"), pki, upstream, **options).start())
        return made[-1]

    yield make
    for front in made:
        front.stop()
