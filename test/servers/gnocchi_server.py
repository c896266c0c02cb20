"""Gnocchi, OpenStack's store of measures, with its files in a folder and its index in PostgreSQL; it takes Keystone's tokens.

    gnocchi.url                                    of its metrics: http://127.0.0.1:P/v1/metric
    metric = gnocchi.metric({0: 3, -1: 5})         a new metric of the project "shop"; its measures, by how many minutes from now
    gnocchi.users                                  whose tokens it takes (openstack_server.py)
"""
import datetime
import subprocess

import pytest

from install import pip
from openstack_server import Keystone, Users, call
from postgresql_server import postgresql  # noqa: F401
from server import Server, free_port

CONFIG = """[DEFAULT]
[api]
auth_mode = keystone
[indexer]
url = postgresql://app:apppw@127.0.0.1:{database}/gnocchi
[storage]
driver = file
file_basepath = {folder}/measures
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = admin
username = admin
password = adminpw
token_cache_time = -1
"""
SERVE = """import sys
from gnocchi import service
from gnocchi.rest import app
from werkzeug.serving import run_simple
conf = service.prepare_service(args=[], default_config_files=[sys.argv[2]])
run_simple("127.0.0.1", int(sys.argv[1]), app.load_app(conf), threaded=True)
"""


class Gnocchi(Server):
    def __init__(self, folder, users, database):
        self.users, self.python, self.port = users, pip(
            "gnocchi", "gnocchi==4.7.1", "keystonemiddleware==13.0.1", "psycopg2-binary==2.9.10", "sqlalchemy==1.4.54",
            "sqlalchemy-utils==0.41.2", "alembic==1.13.3", "oslo.db==14.1.0", "setuptools==75.8.0"), free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1/metric"
        database.sql("CREATE DATABASE gnocchi OWNER app")
        config = folder / ".gnocchi" / "gnocchi.conf"
        config.parent.mkdir()
        config.write_text(CONFIG.format(folder=folder, database=database.port, keystone=users.keystone.url))
        (folder / "serve.py").write_text(SERVE)
        done = subprocess.run([self.python.parent / "gnocchi-upgrade", "--config-file", config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        super().__init__(folder, "gnocchi", [self.python, folder / "serve.py", self.port, config], ready=f"http://127.0.0.1:{self.port}/",
                         env={"HOME": str(folder)})  # the filter that asks Keystone looks for its settings there

    def furnish(self):
        token = self.users.keystone.token("admin", "adminpw", "admin")
        try:
            call("POST", self.url.replace("/metric", "/archive_policy"), {
                "name": "days", "aggregation_methods": ["mean", "max"],
                "definition": [{"granularity": "1 day", "points": 10}]}, token)
        except OSError:  # it is there: this is not the first start
            pass

    def metric(self, measures):
        token, now = self.users.token(), datetime.datetime.now(datetime.timezone.utc)
        made = call("POST", self.url, {"archive_policy_name": "days"}, token)[0]["id"]
        call("POST", f"{self.url}/{made}/measures", [
            {"timestamp": (now + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S"), "value": value}
            for minutes, value in measures.items()], token)
        call("GET", f"{self.url}/{made}/measures?refresh=true", token=token)  # so that they count at once
        return made


@pytest.fixture(scope="module")
def gnocchi(place, postgresql):  # noqa: F811
    with Keystone(place("keystone")) as keystone:
        with Gnocchi(place("gnocchi"), Users(keystone), postgresql) as server:
            yield server
