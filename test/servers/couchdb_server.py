"""PouchDB's server as CouchDB: user weir / s3cret.

    couchdb.put("jobs", [{"state": "waiting"}, ...])    a database with these documents, as they are
"""
import base64
import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from install import npm
from server import Server, free_port


class CouchDb(Server):
    def __init__(self, folder):
        self.port, self.password = free_port(), "s3cret"
        self.modules = npm("couchdb", "express-pouchdb@4.2.0", "pouchdb@9.0.0", "pouchdb-adapter-memory@9.0.0", "express@4.21.2")
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(__file__).with_name("couchdb_peer.js"), folder)
        super().__init__(folder, "couchdb", [], ready=f"{self.url}/_up", env={"NODE_PATH": self.modules / "node_modules"})

    def prepare(self):
        self.command = [str(word) for word in ("node", self.folder / "couchdb_peer.js", self.port, "weir", self.password,
                                               self.folder / "requests.log")]

    def say(self, method, path, body=None):
        login = base64.b64encode(f"weir:{self.password}".encode()).decode()
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), method=method, headers={
            "Authorization": f"Basic {login}", "Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request, timeout=20).read())

    def put(self, database, documents):
        try:
            self.say("DELETE", f"/{database}")
        except urllib.error.HTTPError:
            pass
        self.say("PUT", f"/{database}")
        self.say("POST", f"/{database}/_bulk_docs", {"docs": documents})


@pytest.fixture(scope="module")
def couchdb(place):
    with CouchDb(place("couchdb")) as server:
        yield server
