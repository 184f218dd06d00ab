"""The far end: an OTLP/HTTP JSON server that keeps what it gets, by the run that sent it."""

import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RUN = "interop.run"
SHAPES = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}


class Sink:
    def __init__(self):
        self._lock, self._resources = threading.Lock(), {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()

    def resources(self, run, signal):
        """The resource elements of a run, in the order of arrival, without the run's own mark."""
        with self._lock:
            return copy.deepcopy(self._resources.get((run, signal), []))

    def items(self, run, signal):
        """(resource attributes, item) for each span, metric or log record of a run."""
        _, scopes, items = SHAPES[signal]
        return [
            (attributes(resource.get("resource", {})), item)
            for resource in self.resources(run, signal)
            for scope in resource.get(scopes, [])
            for item in scope.get(items, [])
        ]

    def _keep(self, signal, request):
        with self._lock:
            for resource in request.get(SHAPES[signal][0], []):
                listed = resource.get("resource", {}).get("attributes", [])
                run = attributes(resource.get("resource", {})).get(RUN, "")
                listed[:] = [pair for pair in listed if pair["key"] != RUN]
                self._resources.setdefault((run, signal), []).append(resource)

    def _handler(sink):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink._keep(self.path.removeprefix("/v1/"), json.loads(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        return Handler


def attributes(element):
    """Attributes as a dictionary; values without their type where they have one."""
    return {pair["key"]: _plain(pair["value"]) for pair in element.get("attributes", [])}


def _plain(value):
    return next(iter(value.values()), None)
