"""Solr 9 with one core, jobs, and a login (BasicAuthPlugin).

    solr.url                                   http://127.0.0.1:P
    solr.put({"id": "1", "state": "waiting"})  documents, there when this returns
"""
import base64
import hashlib
import json
import urllib.request

import pytest

from install import maven
from server import Server, free_port, java, wait_for

STARTER = """import java.util.*;
import org.apache.solr.embedded.*;
public class Start {
  public static void main(String[] a) throws Exception {
    var jetty = new JettySolrRunner(a[0], new Properties(), JettyConfig.builder().setPort(Integer.parseInt(a[1])).setContext("/solr").build());
    jetty.start();
    Thread.currentThread().join();
  }
}
"""
SCHEMA = """<schema name="s" version="1.6"><fieldType name="string" class="solr.StrField"/>
<field name="id" type="string" indexed="true" stored="true" required="true"/>
<dynamicField name="*" type="string" indexed="true" stored="true"/><uniqueKey>id</uniqueKey></schema>"""
CONFIG = """<config><luceneMatchVersion>9.12</luceneMatchVersion><schemaFactory class="ClassicIndexSchemaFactory"/>
<requestHandler name="/select" class="solr.SearchHandler"/><requestHandler name="/update" class="solr.UpdateRequestHandler"/></config>"""


class Solr(Server):
    login, word = "solr", "pw"

    def __init__(self, folder):
        jars = maven("solr", "org.apache.solr:solr-core:9.10.1", "org.apache.solr:solr-test-framework:9.10.1")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        core = folder / "home" / "jobs"
        (core / "conf").mkdir(parents=True)
        (folder / "home" / "solr.xml").write_text("<solr/>")
        (core / "core.properties").write_text("name=jobs\n")
        (core / "conf" / "schema.xml").write_text(SCHEMA)
        (core / "conf" / "solrconfig.xml").write_text(CONFIG)
        (folder / "Start.java").write_text(STARTER)
        super().__init__(folder, "solr", java(jars, folder / "Start.java", folder / "home", self.port,
                                              options=[f"-Dsolr.log.dir={folder}"]),
                         ready=f"{self.url}/solr/jobs/select?q=*:*", ready_s=120, limit_s=20)

    def prepare(self):
        salt = b"salt" * 8
        hashed = hashlib.sha256(hashlib.sha256(salt + self.word.encode()).digest()).digest()
        (self.folder / "home" / "security.json").write_text(json.dumps({"authentication": {
            "class": "solr.BasicAuthPlugin", "blockUnknown": True,
            "credentials": {self.login: f"{base64.b64encode(hashed).decode()} {base64.b64encode(salt).decode()}"}}}))

    def call(self, path, body=None):
        encoded = base64.b64encode(f"{self.login}:{self.word}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {encoded}"}
        return urllib.request.urlopen(urllib.request.Request(self.url + path, data=body, headers=headers), timeout=30).status

    def loaded(self):
        try:
            return self.call("/solr/jobs/select?q=*:*") == 200
        except OSError:
            return False

    def furnish(self):
        """Who he is it asks before the core is loaded."""
        wait_for(self.loaded, 60)

    def put(self, *documents):
        self.call("/solr/jobs/update?commit=true", json.dumps(documents).encode())


@pytest.fixture(scope="module")
def solr(place):
    with Solr(place("solr")) as server:
        yield server
