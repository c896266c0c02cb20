"""The API server as tests talk to it: JSON over HTTPS with a client certificate, nothing else. Faster than kubectl and with every
answer at hand; kubectl is for what people type."""
import http.client
import json
import ssl
import threading
from urllib.parse import urlencode, urlsplit

# Where the resources live that tests name; others by their path.
GROUPS = {
    "": ("pods", "services", "secrets", "configmaps", "events", "serviceaccounts", "namespaces", "replicationcontrollers"),
    "apps/v1": ("deployments", "replicasets", "statefulsets"),
    "batch/v1": ("jobs", "cronjobs"),
    "autoscaling/v2": ("horizontalpodautoscalers",),
    "coordination.k8s.io/v1": ("leases",),
    "rbac.authorization.k8s.io/v1": ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
    "apiextensions.k8s.io/v1": ("customresourcedefinitions",),
    "apiregistration.k8s.io/v1": ("apiservices",),
    "admissionregistration.k8s.io/v1": ("validatingwebhookconfigurations",),
    "flowcontrol.apiserver.k8s.io/v1": ("flowschemas",),
    "keda.sh/v1alpha1": ("scaledobjects", "scaledjobs", "triggerauthentications", "clustertriggerauthentications"),
    "eventing.keda.sh/v1alpha1": ("cloudeventsources", "clustercloudeventsources"),
}
GROUP_OF = {resource: group for group, resources in GROUPS.items() for resource in resources}
PATCHES = {"merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json",
           "json": "application/json-patch+json", "apply": "application/apply-patch+yaml"}


def path_of(resource, namespace=None, name=None, subresource=None):
    """/apis/apps/v1/namespaces/shop/deployments/web/scale from its parts; of a resource in GROUPS."""
    group = GROUP_OF[resource]
    parts = ["/apis/" + group if group else "/api/v1"]
    parts += ["namespaces", namespace] if namespace else []
    return "/".join(parts + [part for part in (resource, name, subresource) if part])


class ApiError(Exception):
    """What the API server refused, in its own words."""

    def __init__(self, method, path, status, text):
        try:
            self.body = json.loads(text)
        except ValueError:
            self.body = {}
        self.status, self.reason = status, self.body.get("reason", "")
        self.message = self.body.get("message", text)
        super().__init__(f"{method} {path}: {status} {self.message}")


class Api:
    """One user's view of one API server; a connection per thread, kept."""

    def __init__(self, server, ca, certificate=None, key=None, token=None):
        """Signed in by a client certificate, or by a token."""
        self.address = urlsplit(server)
        self.context = ssl.create_default_context(cafile=str(ca))
        if certificate:
            self.context.load_cert_chain(str(certificate), str(key))
        self.headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self.local = threading.local()

    def ask(self, method, path, body=None, content_type="application/json", timeout_s=30):
        """(status, text); OSError while nobody answers. A kept connection that was closed meanwhile is opened anew, once."""
        kept = getattr(self.local, "connection", None)
        connection = kept or http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.context)
        self.local.connection = None
        try:
            connection.timeout = timeout_s
            if connection.sock:
                connection.sock.settimeout(timeout_s)
            connection.request(method, path, body, {"Content-Type": content_type, **self.headers})
            reply = connection.getresponse()
            text = reply.read().decode()
        except (OSError, http.client.HTTPException) as err:
            connection.close()
            if kept and not isinstance(err, TimeoutError):
                return self.ask(method, path, body, content_type, timeout_s)
            raise err if isinstance(err, OSError) else ConnectionError(str(err)) from err
        self.local.connection = connection
        return reply.status, text

    def __call__(self, method, path, body=None, content_type="application/json"):
        """The answer, read; ApiError for a refusal."""
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        status, text = self.ask(method, path, data, content_type)
        if status >= 300:
            raise ApiError(method, path, status, text)
        return json.loads(text) if text.startswith(("{", "[")) else text

    def get(self, path, **query):
        return self("GET", path + ("?" + urlencode(query) if query else ""))

    def find(self, path):
        """As get; None where there is none."""
        try:
            return self.get(path)
        except ApiError as err:
            if err.status == 404:
                return None
            raise

    def post(self, path, body):
        """An object, or the YAML text of one."""
        return self("POST", path, body, "application/yaml" if isinstance(body, str) else "application/json")

    def put(self, path, body):
        return self("PUT", path, body)

    def patch(self, path, body, kind="merge"):
        return self("PATCH", path, body, PATCHES[kind])

    def delete(self, path):
        return self("DELETE", path)
