"""InfluxDB 1.8, which answers Flux at /api/v2/query as version 2 does (versions 2 and 3 themselves are not to be had as packages).

    influxdb.url                            http://127.0.0.1:P
    influxdb.write("queue length=12.5")     a point of now, in bucket "shop/autogen"
    influxdb.password("other")              of the user: rotated
"""
import urllib.parse
import urllib.request

import pytest

from install import go
from server import Server, free_ports

CONFIG = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{http}"
auth-enabled = {login}
flux-enabled = true
log-enabled = false
"""


class Influxdb(Server):
    def __init__(self, folder, login=True):
        programs = go("influxdb", ["github.com/influxdata/influxdb/cmd/influxd"], require={"github.com/influxdata/influxdb": "v1.8.3"})
        self.port, self.rpc = free_ports(2)
        self.url, self.word, self.known = f"http://127.0.0.1:{self.port}", "pw", False
        (folder / "influxdb.conf").write_text(CONFIG.format(folder=folder, rpc=self.rpc, http=self.port,
                                                              login=str(login).lower()))
        super().__init__(folder, "influxdb", [programs / "influxd", "-config", f"{folder}/influxdb.conf"], ready=f"{self.url}/ping")

    def query(self, text):
        who = urllib.parse.urlencode({"u": "admin", "p": self.word})
        data = urllib.parse.urlencode({"q": text}).encode()
        return urllib.request.urlopen(f"{self.url}/query?{who}", data=data, timeout=10).read().decode()

    def furnish(self):
        if not self.known:
            self.query("CREATE USER admin WITH PASSWORD 'pw' WITH ALL PRIVILEGES")
            self.query("CREATE DATABASE shop")
            self.known = True

    def password(self, word):
        self.query(f"SET PASSWORD FOR admin = '{word}'")
        self.word = word

    @property
    def token(self):
        return f"admin:{self.word}"

    def write(self, line):
        where = urllib.parse.urlencode({"db": "shop", "u": "admin", "p": self.word})
        urllib.request.urlopen(f"{self.url}/write?{where}", data=line.encode(), timeout=10).read()


@pytest.fixture(scope="module")
def influxdb(place):
    with Influxdb(place("influxdb")) as server:
        yield server


@pytest.fixture(scope="module")
def open_influxdb(place):
    """It asks nobody who he is."""
    with Influxdb(place("influxdb"), False) as server:
        yield server
