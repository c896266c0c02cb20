"""Keys and certificates of the servers and their clients: one authority that counts, one that does not.

    pki.path("ca.crt")      for a server's configuration
    pki.text("ca.crt")      for a manifest: what a trigger takes as `ca`
    pki.client()            {"ca", "cert", "key"} of the client that is trusted, as most triggers name them
    pki.give(folder, user)  copies, owned by that user and readable by nobody else

server: for localhost, 127.0.0.1 and ::1. client: with a name; nameless: without one (etcd's gateway wants that). elsewhere: a server's,
by the right authority, for another host. wrong-ca, wrong-server, wrong-client: the same by an authority nobody was told about.
client-encrypted.key: the client's key with PASSWORD. server.pem, client.pem: key, certificate and authority in one, as Kafka reads them.
"""
import shutil
from pathlib import Path

from cluster.pki import CONFIG, certificate, client, finish, openssl, serving

HERE = "DNS:localhost,IP:127.0.0.1,IP:::1"
PASSWORD = "key-password"


class Pki:
    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "openssl.cnf").write_text(CONFIG)
        authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
        finish([certificate(folder, name, f"/CN=test-{name}", authority) for name in ("ca", "wrong-ca")])
        finish([self.server("server"), serving(folder, "wrong-server", HERE, "wrong-ca"),
                serving(folder, "elsewhere", "DNS:elsewhere.example"), client(folder, "client", "/O=weir/CN=client"),
                client(folder, "nameless", "/O=weir"), client(folder, "wrong-client", "/CN=client", "wrong-ca")])
        finish([openssl(folder, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "client.key", "-out", "client-encrypted.key",
                        "-passout", f"pass:{PASSWORD}")])
        for name in ("server", "client"):
            self.path(f"{name}.pem").write_text(self.text(f"{name}.key") + self.text(f"{name}.crt") + self.text("ca.crt"))

    def server(self, name):
        """Some servers show their certificate as a client's, too (clusters do)."""
        return certificate(self.folder, name, f"/CN={name}", [
            "basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth", f"subjectAltName={HERE}"], "ca")

    def path(self, name):
        return self.folder / name

    def text(self, name):
        return self.path(name).read_text()

    def client(self, name="client", ca="ca"):
        return {"ca": self.text(f"{ca}.crt"), "cert": self.text(f"{name}.crt"), "key": self.text(f"{name}.key")}

    def give(self, folder, user=None):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            shutil.copy(path, folder)
            (folder / path.name).chmod(0o600)
            if user:
                shutil.chown(folder / path.name, user, user)
        if user:
            shutil.chown(folder, user, user)
        return folder
