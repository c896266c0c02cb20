"""external.metrics.k8s.io, registered at the API server: an APIService that names a Service that is a name for localhost; its caBundle
is Weir's to write. There is one such group in a cluster, so a test that needs it has it alone."""
from api import ApiError, path_of
from support.waiting import free_port, wait_for

GROUP = "/apis/external.metrics.k8s.io"
VERSION = GROUP + "/v1beta1"
API_SERVICE = path_of("apiservices", name="v1beta1.external.metrics.k8s.io")
SERVICE = "weir-metrics"


class Registration:
    """options are for the Weir that answers; register() once it runs."""

    def __init__(self, plane):
        self.plane, self.api, self.port = plane, plane.api, free_port()
        self.options = ("--external-metrics", f"127.0.0.1:{self.port}", "--metrics-server-service-name", SERVICE)

    def register(self, weir):
        wait_for(lambda: "listening over TLS" in weir.log_text())  # an APIService that was found down is looked at again late
        self.api.post(path_of("services", "default"), {"metadata": {"name": SERVICE}, "spec": {
            "type": "ExternalName", "externalName": "localhost", "ports": [{"port": self.port, "protocol": "TCP"}]}})
        self.api.post(path_of("apiservices"), {"metadata": {"name": "v1beta1.external.metrics.k8s.io"}, "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": SERVICE, "namespace": "default", "port": self.port}}})
        wait_for(self.available, 60)

    def available(self):
        conditions = self.api.get(API_SERVICE).get("status", {}).get("conditions", [])
        return any(c["type"] == "Available" and c["status"] == "True" for c in conditions) and self.plane.served(VERSION)

    def close(self):
        """Before Weir goes: namespaces cannot be deleted while a group is registered and not served."""
        for path in (API_SERVICE, path_of("services", "default", SERVICE), path_of("secrets", "default", "weir-certs")):
            try:
                self.api.delete(path)
            except ApiError as err:
                assert err.status == 404
