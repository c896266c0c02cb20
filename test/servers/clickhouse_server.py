"""A ClickHouse with a native port, HTTP, and native TLS; users default (no password) and weir / s3cret.

    clickhouse.sql("INSERT INTO jobs VALUES ('waiting')")
    clickhouse.native, clickhouse.http, clickhouse.tls: ports
"""
import shutil
import subprocess
from pathlib import Path

import pytest

from install import apt
from server import Server, free_ports

CONFIG = """<yandex>
<logger><level>warning</level><console>1</console></logger>
<http_port>{http}</http_port><tcp_port>{native}</tcp_port><tcp_port_secure>{tls}</tcp_port_secure>
<interserver_http_port>{inner}</interserver_http_port><listen_host>127.0.0.1</listen_host>
<openSSL><server><certificateFile>{pki}/server.crt</certificateFile><privateKeyFile>{pki}/server.key</privateKeyFile>
<caConfig>{pki}/ca.crt</caConfig><verificationMode>none</verificationMode><loadDefaultCAFile>false</loadDefaultCAFile></server></openSSL>
<path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><users_config>{folder}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database><mark_cache_size>5368709</mark_cache_size>
</yandex>
"""
USERS = """<yandex><profiles><default/><narrow><readonly>1</readonly></narrow></profiles><quotas><default/></quotas><users>
<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
<weir><password>{password}</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></weir>
<reader><password>r</password><networks><ip>::/0</ip></networks><profile>narrow</profile><quota>default</quota></reader>
</users></yandex>
"""


class ClickHouse(Server):
    def __init__(self, folder, pki):
        apt("clickhouse-server", "clickhouse-client")
        self.native, self.http, self.tls, inner = free_ports(4)
        self.password = "s3cret"
        folder.mkdir(parents=True, exist_ok=True)
        keys = pki.give(folder / "pki")
        (folder / "config.xml").write_text(CONFIG.format(http=self.http, native=self.native, tls=self.tls, inner=inner, pki=keys,
                                                         folder=folder))
        program = shutil.which("clickhouse-server") or "/usr/bin/clickhouse-server"
        super().__init__(folder, "clickhouse", [program, f"--config-file={folder}/config.xml"],
                         ready=f"http://127.0.0.1:{self.http}/ping")

    def prepare(self):
        (Path(self.folder) / "users.xml").write_text(USERS.format(password=self.password))

    def furnish(self):
        self.sql("CREATE TABLE IF NOT EXISTS jobs (state String) ENGINE = Log")

    def sql(self, text):
        done = subprocess.run(["clickhouse-client", "--host", "127.0.0.1", "--port", str(self.native), "--query", text],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def clickhouse(place, pki):
    with ClickHouse(place("clickhouse"), pki) as server:
        yield server
