"""ActiveMQ Classic as an embedded broker, with Jolokia as an agent of its JVM: the same questions as at the web console's.

    activemq.fill("orders", 3); activemq.endpoint (host:port)
"""
import subprocess

import pytest

from install import maven, maven_file
from server import Server, answers, free_ports, java

JARS = "org.apache.activemq:activemq-broker:6.2.0"
AGENT = "org.jolokia:jolokia-agent-jvm:2.2.9:jar:javaagent"
BROKER = """import org.apache.activemq.broker.*; import org.apache.activemq.ActiveMQConnectionFactory; import jakarta.jms.*;
public class Broker { public static void main(String[] a) throws Exception {
  if (a[0].equals("broker")) {
    var b = new BrokerService(); b.setBrokerName("localhost"); b.setPersistent(false); b.setUseJmx(true);
    b.getManagementContext().setCreateConnector(false); b.addConnector(a[1]); b.start(); Thread.currentThread().join();
  }
  var c = new ActiveMQConnectionFactory(a[1]).createConnection(); var s = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
  var p = s.createProducer(s.createQueue(a[2])); for (int i = 0; i < Integer.parseInt(a[3]); i++) p.send(s.createTextMessage("x")); c.close();
} }
"""


class ActiveMQ(Server):
    def __init__(self, folder):
        self.libraries, agent = maven("activemq", JARS), maven_file(AGENT)
        self.password = "pw"
        self.page, port = free_ports(2)
        self.endpoint, self.broker = f"127.0.0.1:{self.page}", f"tcp://127.0.0.1:{port}"
        self.agent = agent
        (folder / "Broker.java").write_text(BROKER)
        self.source = folder / "Broker.java"
        super().__init__(folder, "activemq", [], self.is_up, ready_s=90)

    def prepare(self):
        options = (f"-javaagent:{self.agent}=host=127.0.0.1,port={self.page},agentContext=/api/jolokia,user=admin,password={self.password},"
                   "discoveryEnabled=false",)
        self.command = list(map(str, java(self.libraries, self.source, "broker", self.broker, heap_mb=192, options=options)))

    def is_up(self):
        return answers(f"http://{self.endpoint}/api/jolokia/version") and self.fill("ready", 1, check=False)

    def fill(self, queue, count, check=True):
        done = subprocess.run(list(map(str, java(self.libraries, self.source, "fill", self.broker, queue, count, heap_mb=64))),
                              capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.returncode == 0


@pytest.fixture(scope="module")
def activemq(place):
    with ActiveMQ(place("activemq")) as server:
        yield server
