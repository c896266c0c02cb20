"""PostgreSQL on loopback, with TLS, and passwords by SCRAM.

    postgresql.sql("CREATE TABLE jobs (n int)")     as the superuser; the rows as psql -At prints them
    postgresql.parts()                              metadata of the trigger that name the server, of user "app" on database "shop"
    postgresql.connections("app")                   how many it has now
"""
import glob
import os
import subprocess

import pytest

from install import apt
from server import Server, free_port

SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "ssl": "on", "max_connections": "60",
            "ssl_cert_file": "keys/server.crt", "ssl_key_file": "keys/server.key", "autovacuum": "off"}


class PostgreSQL(Server):
    def __init__(self, folder, pki):
        apt("postgresql")
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.port, self.password, self.pki = free_port(), "apppw", pki
        words = [f"{self.programs}/postgres", "-D", folder / "data", "-p", self.port]
        for name, value in SETTINGS.items():
            words += ["-c", f"{name}={value}"]
        super().__init__(folder, "postgres", words, ready=lambda: self.try_sql("SELECT 1"), user="postgres")

    def as_user(self, *words):
        change = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        done = subprocess.run([*change, *map(str, words)], capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr

    def prepare(self):
        if (self.folder / "data").exists():
            return
        secret = self.folder / "password"
        secret.write_text("superpw\n")
        self.pki.give(self.folder / "keys", self.user if os.geteuid() == 0 else None)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:postgres", str(self.folder)], check=True)
        self.as_user(f"{self.programs}/initdb", "-D", self.folder / "data", "-A", "scram-sha-256", "--pwfile", secret, "-U", "postgres",
                     "--no-sync")
        self.as_user("cp", "-r", self.folder / "keys", self.folder / "data" / "keys")
        self.new = True

    def furnish(self):
        if getattr(self, "new", False):
            self.new = False
            self.sql("CREATE USER app PASSWORD 'apppw'")
            self.sql("CREATE USER other PASSWORD 'otherpw'")
            self.sql("CREATE DATABASE shop OWNER app")

    def run(self, words, database):
        return subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database, "-XAt", "-v",
                               "ON_ERROR_STOP=1", "-c", words], capture_output=True, text=True, check=False,
                              env={**os.environ, "PGPASSWORD": "superpw", "PGCONNECT_TIMEOUT": "5"})

    def try_sql(self, words):
        return self.run(words, "postgres").returncode == 0

    def sql(self, words, database="postgres"):
        done = self.run(words, database)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def parts(self, **more):
        return {"host": "127.0.0.1", "port": self.port, "userName": "app", "dbName": "shop", "sslmode": "disable", **more}

    def connections(self, user):
        return int(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'"))


@pytest.fixture(scope="module")
def postgresql(servers, pki):
    return servers.once(PostgreSQL, pki)
