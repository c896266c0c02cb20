"""Keys, certificates and kubeconfigs of one test control plane, made by openssl: one call each, side by side."""
import subprocess
from pathlib import Path

# A name of our own for every program, so that the API server can tell them apart; the controller manager's name is the one
# Kubernetes' own roles are bound to.
USERS = {"admin": "/O=system:masters/CN=admin", "kcm": "/CN=system:kube-controller-manager", "kubelet": "/O=weir:kubelets/CN=kubelet",
         **{f"weir-{letter}": f"/O=weir:autoscalers/CN=weir-{letter}" for letter in "abcd"}}
SERVER_NAMES = "IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
# openssl's own file would make an authority of every certificate.
CONFIG = "[req]\ndistinguished_name = name\n[name]\n"
KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{server}", certificate-authority: {pki}/ca.crt}}}}]
users: [{{name: {user}, user: {{{credential}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: {user}}}}}]
current-context: test
"""


def openssl(folder, *arguments):
    return subprocess.Popen(["openssl", *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


def finish(made):
    for process in made:
        _, said = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(process.args)}: {said}")


def certificate(folder, name, subject, extensions, authority=None):
    """A key and a certificate by an authority of the folder, or by itself."""
    signed = ["-CA", f"{authority}.crt", "-CAkey", f"{authority}.key"] if authority else []
    added = [word for extension in extensions for word in ("-addext", extension)]
    return openssl(folder, "req", "-x509", "-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                   "-days", "3650", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.crt", *signed, *added)


def client(folder, name, subject, authority="ca"):
    return certificate(folder, name, subject, ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth"], authority)


def serving(folder, name, alternatives, authority="ca"):
    return certificate(folder, name, f"/CN={name}", ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth",
                                                     f"subjectAltName={alternatives}"], authority)


def make_authorities(folder):
    """ca: of everything; front-ca: of the API server where it passes requests on (aggregation); sa: of service account tokens."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "openssl.cnf").write_text(CONFIG)
    ours = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    finish([certificate(folder, "ca", "/CN=test-ca", ours), certificate(folder, "front-ca", "/CN=test-front-ca", ours),
            openssl(folder, "genrsa", "-out", "sa.key", "2048")])


def make_certificates(folder):
    finish([serving(folder, "apiserver", SERVER_NAMES), client(folder, "front-proxy", "/CN=front-proxy-client", "front-ca"),
            openssl(folder, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"),
            *(client(folder, user, subject) for user, subject in USERS.items())])


def write_kubeconfig(folder, user, server, name=None, token=None):
    """name: of the file, where it is not the usual way of that user. With a token instead of the user's certificate, where one is given."""
    credential = f"token: {token}" if token else f"client-certificate: {folder}/{user}.crt, client-key: {folder}/{user}.key"
    path = Path(folder) / f"{name or user}.kubeconfig"
    path.write_text(KUBECONFIG.format(server=server, pki=folder, user=user, credential=credential))
    return path


def make(folder, server):
    make_authorities(folder)
    make_certificates(folder)
    for user in USERS:
        write_kubeconfig(folder, user, server)
