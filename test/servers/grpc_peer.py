"""A gRPC server for tests, on gRPC's own C core: answers what it was told to, and tells what it was asked. Run by grpc_server.py with a
python that has grpcio: grpc_peer.py PORT TLS_PORT CONTROL_PORT [KEY CERTIFICATE CA], the TLS port demanding a client certificate of CA.

Messages are bytes here; whoever tests writes and reads them. A method whose last part begins with "Stream" is a stream. Control, JSON over
HTTP, bytes in base64:

    POST /answer {"method", "message"}               POST /refuse {"method", "status", "details"}     POST /delay {"method", "seconds"}
    POST /push {"method", "message", "to"?}          POST /end {"method", "status"?}                  GET /seen

to: only to streams whose request holds this text.
"""
import base64
import json
import queue
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

lock = threading.Lock()
answers, refusals, delays = {}, {}, {}
calls, streams, opened, peers = [], {}, {}, set()


def note(method, request, context):
    with lock:
        calls.append({"method": method, "message": base64.b64encode(request).decode(), "metadata": {
            k: v for k, v in context.invocation_metadata() if isinstance(v, str)}})
        peers.add(context.peer())
        return delays.get(method, 0), refusals.get(method), answers.get(method)


def unary(method):
    def answer(request, context):
        delay, refusal, message = note(method, request, context)
        time.sleep(delay)
        if refusal:
            context.abort(getattr(grpc.StatusCode, refusal[0]), refusal[1])
        if message is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no answer was given for this method")
        return message
    return answer


def stream(method):
    def answer(request, context):
        _, refusal, _ = note(method, request, context)
        if refusal:
            context.abort(getattr(grpc.StatusCode, refusal[0]), refusal[1])
        mine = queue.SimpleQueue()
        mine_and_request = (mine, request)
        with lock:
            streams.setdefault(method, []).append(mine_and_request)
            opened[method] = opened.get(method, 0) + 1
        context.add_callback(lambda: mine.put(None))
        try:
            while (said := mine.get()) is not None:
                if isinstance(said, str):
                    if said != "OK":
                        context.abort(getattr(grpc.StatusCode, said), "ended by the test")
                    return
                yield said
        finally:
            with lock:
                streams[method].remove(mine_and_request)
    return answer


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method.split("/")[-1].startswith("Stream"):
            return grpc.unary_stream_rpc_method_handler(stream(details.method))
        return grpc.unary_unary_rpc_method_handler(unary(details.method))


class Control(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            self.reply({"calls": list(calls), "open": {m: len(all_of_it) for m, all_of_it in streams.items()}, "opened": dict(opened),
                        "peers": len(peers)})

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        method, message = said["method"], base64.b64decode(said.get("message", ""))
        with lock:
            if self.path == "/answer":
                answers[method] = message
                refusals.pop(method, None)
            elif self.path == "/refuse":
                refusals[method] = (said["status"], said.get("details", ""))
            elif self.path == "/delay":
                delays[method] = said["seconds"]
            else:
                for one, request in streams.get(method, []):
                    if said.get("to", "").encode() in request:
                        one.put(message if self.path == "/push" else said.get("status", "OK"))
        self.reply({})


def main(port, tls_port, control_port, *files):
    server = grpc.server(futures.ThreadPoolExecutor(1000), handlers=[Service()])
    server.add_insecure_port(f"127.0.0.1:{port}")
    if files:
        key, certificate, authority = (open(path, "rb").read() for path in files)
        server.add_secure_port(f"127.0.0.1:{tls_port}", grpc.ssl_server_credentials([(key, certificate)], authority, True))
    server.start()
    ThreadingHTTPServer(("127.0.0.1", int(control_port)), Control).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
