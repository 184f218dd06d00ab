"""The real SDKs, told by their environment variables alone, through the gateway."""

import uuid

from stage import CACHE, HERE, Scenario, check, command
from topology import gateway, sender_env

PYTHON = [CACHE / "python/bin/python", HERE / "python/emit.py"]
NODE = ["node", CACHE / "node/emit.mjs"]
# Language, its program, the protocol it is told, the index of the port, the hop behind.
CASES = [
    ("python", PYTHON, "grpc", 0, ("grpc", "gzip")),
    ("python", PYTHON, "http", 1, ("http", "gzip")),
    ("node", NODE, "grpc", 0, ("http", "none")),
    ("node", NODE, "proto", 1, ("grpc", "none")),
    ("node", NODE, "http", 1, ("grpc", "gzip")),
]
# Either protocol on the port of the other.
SWAPPED = [
    ("python", PYTHON, "grpc", 1, ("grpc", "none")),
    ("node", NODE, "http", 0, ("http", "gzip")),
]
WANTED = {
    "traces": ["child 0", "child 1", "child 2", "parent"],
    "metrics": ["counter", "gauge", "histogram"],
    "logs": ["line 0", "line 1"],
}


def emit(stage, program, protocol, port, client="shop", side=None, ca=None):
    """Runs an SDK; its run's name and how it ended."""
    run = f"sdk-{uuid.uuid4()}"
    env = {
        **sender_env(stage, port, client, side, ca),
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5" if program is PYTHON else "5000",
        # Each would replace the CA that the SDK is told.
        "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "",
    }
    return run, command([*program, protocol, run], env)


def arrived(stage, run):
    """Names of what arrived, by signal."""
    names = {}
    for signal in WANTED:
        items = [item for _, item in stage.sink.items(run, signal)]
        names[signal] = sorted(item["body"]["stringValue"] if signal == "logs" else item["name"] for item in items)
    return names


def _case(language, program, protocol, port, behind, swapped=False):
    def run(stage):
        listens = gateway(stage).ports[behind][port]
        name, done = emit(stage, program, protocol, listens)
        check(done.returncode == 0, f"the SDK ended with {done.returncode}: {done.stdout}{done.stderr}")
        check(arrived(stage, name) == WANTED, f"arrived: {arrived(stage, name)}, sent: {WANTED}")
        for signal in WANTED:
            services = {attributes["service.name"] for attributes, _ in stage.sink.items(name, signal)}
            check(services == {language}, f"{signal} came from {services}")
        _check_content(stage, name)

    where = f" on the {'HTTP' if port else 'gRPC'} port" if swapped else ""
    title = {"proto": "HTTP/protobuf", "http": "HTTP/JSON" if program is NODE else "HTTP/protobuf", "grpc": "gRPC"}
    return Scenario(f"{language} SDK: {title[protocol]}{where}", run, ours_only=swapped)


def _check_content(stage, run):
    spans = {span["name"]: span for _, span in stage.sink.items(run, "traces")}
    parent, child = spans["parent"], spans["child 1"]
    check(child["parentSpanId"] == parent["spanId"], f"the child's parent is {child['parentSpanId']}")
    check(child["links"][0]["spanId"] == parent["spanId"], f"the child's links are {child['links']}")
    text = child["events"][0]["attributes"][0]["value"]["stringValue"]
    check(text == "h\u00e9llo", f"the event's text is {text!r}")
    metrics = {metric["name"]: metric for _, metric in stage.sink.items(run, "metrics")}
    point = metrics["counter"]["sum"]["dataPoints"][0]
    value = point.get("asInt", point.get("asDouble"))
    check(float(value) == 5, f"the counter is {value}")
    severities = {record["severityText"] for _, record in stage.sink.items(run, "logs")}
    check(severities == {"WARN"}, f"severities are {severities}")


SCENARIOS = [*(_case(*case) for case in CASES), *(_case(*case, swapped=True) for case in SWAPPED)]
