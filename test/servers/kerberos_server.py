"""A KDC of MIT Kerberos on loopback, with a realm and a krb5.conf of its own.

    kdc.config                                   the krb5.conf for clients: KRB5_CONFIG
    kdc.port, kdc.closed                         where it is, and where nobody is
    kdc.person("alice", "alicepw", life_s=6)       a principal with a password, whose tickets live for so long
    kdc.keytab("robot")                          the path of a keytab with new keys of a principal (made where it is not there)
    kdc.issued("alice")                          how many tickets it has asked for and got with its own key

Its programs are Debian's (krb5-kdc, krb5-admin-server); no service of the system is used.
"""
import subprocess

import pytest

from install import apt
from server import Server, free_port

REALM = "WEIR.TEST"

CLIENT = """[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{realm} = {{
    kdc = 127.0.0.1:{port}
}}
AWAY.TEST = {{
    kdc = 127.0.0.1:{closed}
}}
"""
KDC = """[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[logging]
kdc = FILE:{folder}/issued.log
[realms]
{realm} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
    max_life = 1d
}}
"""


class Kdc(Server):
    def __init__(self, folder):
        apt("krb5-kdc", "krb5-admin-server")
        self.port, self.closed, self.config = free_port(), free_port(), folder / "krb5.conf"
        super().__init__(folder, "kdc", ["/usr/sbin/krb5kdc", "-n", "-r", REALM, "-P", folder / "pid"], ready=self.port,
                         env={"KRB5_CONFIG": self.config, "KRB5_KDC_PROFILE": folder / "kdc.conf"})

    def prepare(self):
        if (self.folder / "principal").exists():
            return
        names = {"realm": REALM, "port": self.port, "closed": self.closed, "folder": self.folder}
        self.config.write_text(CLIENT.format(**names))
        (self.folder / "kdc.conf").write_text(KDC.format(**names))
        self.run("/usr/sbin/kdb5_util", "create", "-s", "-P", "master", "-r", REALM)

    def run(self, *words):
        done = subprocess.run(["env", *(f"{name}={value}" for name, value in self.env.items()), *map(str, words)],
                              capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def admin(self, question):
        return self.run("/usr/sbin/kadmin.local", "-r", REALM, "-q", question)

    def person(self, name, password, life_s=3600):
        self.admin(f'addprinc -requires_preauth -maxlife "{life_s} seconds" -pw {password} {name}')

    def keytab(self, name):
        path = self.folder / f"{name.replace('/', '-')}.keytab"
        path.unlink(missing_ok=True)
        self.admin(f"addprinc -randkey {name}")
        self.admin(f"ktadd -k {path} {name}")
        return path

    def issued(self, name):
        lines = (self.folder / "issued.log").read_text().splitlines()
        return sum("AS_REQ" in line and "ISSUE" in line and f" {name}@{REALM} for" in line for line in lines)


@pytest.fixture(scope="module")
def kdc(place):
    with Kdc(place("kdc")) as server:
        yield server
