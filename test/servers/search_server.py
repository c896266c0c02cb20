"""Elasticsearch 7.10 (the last one under the Apache licence) and OpenSearch 2: one node in memory, without security plug-ins; logins and
TLS are nginx's. The starter is the same but for the names of its packages.

    elasticsearch.url                             http://127.0.0.1:P
    elasticsearch.put("jobs", {"state": "waiting"}, ...)      documents of an index, there when this returns
    elasticsearch.template("waiting", {...})      a stored search template
"""
import json
import urllib.request

import pytest

from install import maven
from server import Server, free_ports, java

STARTER = """import java.util.*;
public class Start {
  public static void main(String[] a) throws Exception {
    PACKAGE.common.settings.Settings s = PACKAGE.common.settings.Settings.builder()
      .put("path.home", a[0]).put("path.data", a[0] + "/data").put("http.port", a[1]).put("transport.port", a[2])
      .put("network.host", "127.0.0.1").put("discovery.type", "single-node").put("cluster.name", "t").put("node.name", "n1")
      .put("http.type", "netty4").put("transport.type", "netty4").put("node.store.allow_mmap", false)
      .put("cluster.routing.allocation.disk.threshold_enabled", false).build();
    class N extends PACKAGE.node.Node {
      N() { super(PACKAGE.node.InternalSettingsPreparer.prepareEnvironment(s, Map.of(), null, () -> "n1"),
        List.of(PACKAGE.transport.Netty4Plugin.class, PACKAGE.script.mustache.MustachePlugin.class), true); }
    }
    new N().start();
    Thread.currentThread().join();
  }
}
"""
LOGGING = """rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
"""


class Search(Server):
    def __init__(self, folder, name, package, jars):
        self.port, transport = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "Start.java").write_text(STARTER.replace("PACKAGE", package))
        (folder / "log4j2.properties").write_text(LOGGING)
        (folder / "config").mkdir()
        super().__init__(folder, name, java(jars, folder / "Start.java", folder, self.port, transport, heap_mb=384,
                                            options=[f"-Dlog4j2.configurationFile={folder}/log4j2.properties"]),
                         ready=f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s", ready_s=180, limit_s=20)

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=30))

    def put(self, index, *documents):
        for document in documents:
            self.call("POST", f"/{index}/_doc?refresh=true", document)

    def template(self, name, source):
        self.call("PUT", f"/_scripts/{name}", {"script": {"lang": "mustache", "source": source}})


class Elasticsearch(Search):
    def __init__(self, folder):
        jars = maven("elasticsearch", "org.elasticsearch:elasticsearch:7.10.2", "org.elasticsearch.plugin:transport-netty4-client:7.10.2",
                     "org.elasticsearch.plugin:lang-mustache-client:7.10.2", "org.apache.logging.log4j:log4j-api:2.17.2",
                     "org.apache.logging.log4j:log4j-core:2.17.2")
        super().__init__(folder, "elasticsearch", "org.elasticsearch", jars)


class Opensearch(Search):
    def __init__(self, folder):
        jars = maven("opensearch", "org.opensearch:opensearch:2.19.6", "org.opensearch.plugin:transport-netty4-client:2.19.6",
                     "org.opensearch.plugin:lang-mustache-client:2.19.6", "org.apache.logging.log4j:log4j-core:2.25.4")
        super().__init__(folder, "opensearch", "org.opensearch", jars)


@pytest.fixture(scope="module")
def elasticsearch(place):
    with Elasticsearch(place("elasticsearch")) as server:
        yield server


@pytest.fixture(scope="module")
def opensearch(place):
    with Opensearch(place("opensearch")) as server:
        yield server
