"""Requests with every kind of item and value, in OTLP JSON, and a plain sender for them."""

import json
import urllib.error
import urllib.request

from sink import RUN, SHAPES

TIME = 1_790_000_000_000_000_000
TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b173"
# How many spans, metrics and log records a request has.
COUNTS = {"traces": 40, "metrics": 5, "logs": 30}

ATTRIBUTES = [
    {"key": "text", "value": {"stringValue": "h\u00e9llo \u4e16\u754c \U0001f600"}},
    {"key": "empty", "value": {"stringValue": ""}},
    {"key": "int", "value": {"intValue": "-9007199254740993"}},
    {"key": "double", "value": {"doubleValue": 0.1}},
    {"key": "bool", "value": {"boolValue": True}},
    {"key": "bytes", "value": {"bytesValue": "AAEC/w=="}},
    {"key": "array", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}},
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "in", "value": {"boolValue": False}}]}}},
]


def request(signal, run):
    """One request of two resources; the items are spread over them."""
    resources, scopes, items = SHAPES[signal]
    all_items = ITEMS[signal]()
    half = len(all_items) // 2
    return {resources: [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": f"shop-{index}"}},
                    {"key": RUN, "value": {"stringValue": run}},
                    *ATTRIBUTES,
                ],
            },
            scopes: [{
                "scope": {"name": "interop", "version": "1.2.3", "attributes": ATTRIBUTES[:1]},
                items: part,
                "schemaUrl": "https://opentelemetry.io/schemas/1.26.0",
            }],
            "schemaUrl": "https://opentelemetry.io/schemas/1.26.0",
        }
        for index, part in enumerate([all_items[:half], all_items[half:]])
    ]}


def _spans():
    return [{
        "traceId": TRACE, "spanId": f"{index + 1:016x}", "parentSpanId": PARENT, "traceState": "a=b",
        "flags": 257, "name": f"span {index}", "kind": 1 + index % 5,
        "startTimeUnixNano": str(TIME + index), "endTimeUnixNano": str(TIME + 5_000_000 + index),
        "attributes": ATTRIBUTES, "droppedAttributesCount": 1,
        "events": [{"timeUnixNano": str(TIME + 1), "name": "event", "attributes": ATTRIBUTES}],
        "links": [{"traceId": TRACE, "spanId": SPAN, "attributes": ATTRIBUTES[:2]}],
        "status": {"code": 2, "message": "it failed"},
    } for index in range(COUNTS["traces"])]


def _metrics():
    times = {"startTimeUnixNano": str(TIME), "timeUnixNano": str(TIME + 60_000_000_000)}
    point = {**times, "attributes": ATTRIBUTES[:3]}
    exemplar = {"timeUnixNano": str(TIME + 2), "asDouble": 3.5, "spanId": SPAN, "traceId": TRACE}
    return [
        {"name": "gauge", "description": "a gauge", "unit": "By", "gauge": {"dataPoints": [{**point, "asInt": "7"}]}},
        {"name": "sum", "unit": "1", "sum": {
            "dataPoints": [{**point, "asDouble": 2.5, "exemplars": [exemplar]}],
            "aggregationTemporality": 2, "isMonotonic": True}},
        {"name": "histogram", "unit": "ms", "histogram": {
            "dataPoints": [{**point, "count": "3", "sum": 6.5, "bucketCounts": ["1", "2", "0"],
                            "explicitBounds": [1.0, 5.0], "min": 0.5, "max": 4.0}],
            "aggregationTemporality": 1}},
        {"name": "exponential", "exponentialHistogram": {
            "dataPoints": [{**point, "count": "4", "sum": 9, "scale": 3, "zeroCount": "1",
                            "positive": {"offset": -2, "bucketCounts": ["1", "2"]},
                            "negative": {"offset": 1, "bucketCounts": ["0"]}}],
            "aggregationTemporality": 2}},
        {"name": "summary", "summary": {
            "dataPoints": [{**point, "count": "2", "sum": 3.0, "quantileValues": [{"quantile": 0.5, "value": 1.5}]}]}},
    ]


def _logs():
    return [{
        "timeUnixNano": str(TIME + index), "observedTimeUnixNano": str(TIME + 1_000 + index),
        "severityNumber": 9, "severityText": "INFO", "eventName": "an.event",
        "body": {"stringValue": f"line {index}"}, "attributes": ATTRIBUTES,
        "traceId": TRACE, "spanId": SPAN, "flags": 1,
    } for index in range(COUNTS["logs"])]


ITEMS = {"traces": _spans, "metrics": _metrics, "logs": _logs}


def post(port, signal, run):
    """Sends to a plaintext OTLP/HTTP receiver; status and answer."""
    return post_to(f"http://127.0.0.1:{port}/v1/{signal}", request(signal, run))


def post_to(url, body, context=None):
    asked = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=30, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
