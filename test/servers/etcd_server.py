"""An etcd of one member: plain, or with TLS and client certificates.

    etcd.put("/jobs", 12)    etcd.ctl("del", "/jobs")    etcd.endpoint: "127.0.0.1:P"
"""
import subprocess

import pytest

from install import apt
from server import Server, free_ports


class Etcd(Server):
    def __init__(self, folder, pki=None):
        apt("etcd-server", "etcd-client")
        self.port, peer = free_ports(2)
        self.pki, self.login = pki, []
        scheme = "https" if pki else "http"
        self.endpoint, here, there = f"127.0.0.1:{self.port}", f"{scheme}://127.0.0.1:{self.port}", f"http://127.0.0.1:{peer}"
        tls = [f"--cert-file={pki.path('server.crt')}", f"--key-file={pki.path('server.key')}", "--client-cert-auth",
               f"--trusted-ca-file={pki.path('ca.crt')}"] if pki else []
        super().__init__(folder, "etcd", [
            "etcd", "--name", "e1", "--data-dir", folder / "data", "--listen-client-urls", here, "--advertise-client-urls", here,
            "--listen-peer-urls", there, "--initial-advertise-peer-urls", there, "--initial-cluster", f"e1={there}", "--unsafe-no-fsync",
            *tls], ready=self.port)
        if b"unsafe-no-fsync" not in subprocess.run(["etcd", "--help"], capture_output=True, check=False).stderr + \
                subprocess.run(["etcd", "--help"], capture_output=True, check=False).stdout:
            self.command.remove("--unsafe-no-fsync")

    def ctl(self, *words):
        tls = ["--cacert", self.pki.path("ca.crt"), "--cert", self.pki.path("client.crt"), "--key", self.pki.path("client.key")] \
            if self.pki else []
        done = subprocess.run(["etcdctl", "--endpoints", self.endpoint, *map(str, tls), *self.login, *map(str, words)],
                              env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put(self, key, value):
        self.ctl("put", "--", key, value)

    def well(self):
        return super().well() and subprocess.run(
            ["etcdctl", "--endpoints", self.endpoint, "version"], env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"},
            capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def etcd(place):
    with Etcd(place("etcd")) as server:
        yield server


@pytest.fixture(scope="module")
def etcd_tls(place, pki):
    with Etcd(place("etcd-tls"), pki) as server:
        yield server
