"""A MariaDB with a database `jobs`, and the user weir / s3cret who may read it.

    mariadb.sql("INSERT INTO jobs.jobs VALUES ('waiting')")     as root, over its socket
    mariadb.port, mariadb.dsn(password="s3cret", options="tls=true")
"""
import subprocess

import pytest

from install import apt
from server import Server, free_port

GRANTS = """CREATE DATABASE IF NOT EXISTS jobs; CREATE TABLE IF NOT EXISTS jobs.jobs (state text);
CREATE OR REPLACE TABLE jobs.odd (bits bit(8)); INSERT INTO jobs.odd VALUES (b'110001');
CREATE OR REPLACE USER weir@'%' IDENTIFIED BY 's3cret'; GRANT SELECT, EXECUTE ON jobs.* TO weir@'%';"""


class MariaDb(Server):
    def __init__(self, folder, pki=None):
        apt("mariadb-server")
        self.port, self.data = free_port(), folder / "data"
        self.socket = folder / "my.sock"
        keys = pki.give(folder / "pki", "mysql") if pki else None
        tls = [f"--ssl-cert={keys}/server.crt", f"--ssl-key={keys}/server.key", f"--ssl-ca={keys}/ca.crt"] if keys else []
        super().__init__(folder, "mariadb", [
            "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.data}", "--bind-address=127.0.0.1", f"--port={self.port}",
            f"--socket={self.socket}", f"--pid-file={folder}/my.pid", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", *tls],
            ready=self.well_now, user="mysql")

    def prepare(self):
        if not self.data.exists():
            self.folder.chmod(0o755)
            done = subprocess.run(["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={self.data}",
                                   "--auth-root-authentication-method=normal", "--skip-test-db"], capture_output=True, text=True,
                                  check=False)
            assert done.returncode == 0, done.stdout + done.stderr

    def well_now(self):
        return subprocess.run(["mariadb-admin", "--no-defaults", f"--socket={self.socket}", "-u", "root", "ping"],
                              capture_output=True, check=False).returncode == 0

    def furnish(self):
        self.sql(GRANTS)

    def sql(self, text):
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root", "-N", "-e", text],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dsn(self, password="s3cret", options="", host="127.0.0.1"):
        return f"weir:{password}@tcp({host}:{self.port})/jobs" + (f"?{options}" if options else "")


@pytest.fixture(scope="module")
def mariadb(place, pki):
    with MariaDb(place("mariadb"), pki) as server:
        yield server
