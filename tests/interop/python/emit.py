"""Exports traces, metrics and logs with the Python SDK, as its environment says.

    emit.py grpc|http RUN

Ends with 0 only if the SDK was told of success for all three; the exporters' complaints go to
standard error.
"""

import importlib
import logging
import sys

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

logging.basicConfig(level=logging.WARNING)
protocol, run = sys.argv[1:]
package = f"opentelemetry.exporter.otlp.proto.{protocol}"
resource = Resource.create({"service.name": "python", "interop.run": run})
told = {}


def recording(module, name, signal):
    """An exporter that remembers what it was told."""
    exporter = getattr(importlib.import_module(f"{package}.{module}"), name)()
    export = exporter.export

    def remembering(*args, **kwargs):
        result = export(*args, **kwargs)
        told.setdefault(signal, []).append(result.name)
        return result

    exporter.export = remembering
    return exporter


traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(recording("trace_exporter", "OTLPSpanExporter", "traces")))
tracer = traces.get_tracer("interop", "1.0")
with tracer.start_as_current_span("parent", attributes={"answer": 42, "ok": True}) as parent:
    for index in range(3):
        with tracer.start_as_current_span(f"child {index}", links=[trace.Link(parent.get_span_context())]) as child:
            child.add_event("event", {"text": "h\u00e9llo"})
            child.set_attribute("list", ["a", "b"])

reader = PeriodicExportingMetricReader(
    recording("metric_exporter", "OTLPMetricExporter", "metrics"), export_interval_millis=float("inf"))
metrics = MeterProvider([reader], resource=resource)
meter = metrics.get_meter("interop", "1.0")
meter.create_counter("counter", unit="1").add(5, {"key": "value"})
meter.create_histogram("histogram", unit="ms").record(12.5)
meter.create_gauge("gauge").set(-3)

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(
    recording("_log_exporter", "OTLPLogExporter", "logs")))
logger = logs.get_logger("interop", "1.0")
for index in range(2):
    logger.emit(LogRecord(
        body=f"line {index}", severity_number=SeverityNumber.WARN, severity_text="WARN", attributes={"index": index}))

for provider in (traces, metrics, logs):
    provider.force_flush(20_000)
    provider.shutdown()
print(told)
sys.exit(0 if set(told) == {"traces", "metrics", "logs"} and all(
    result == "SUCCESS" for results in told.values() for result in results) else 1)
