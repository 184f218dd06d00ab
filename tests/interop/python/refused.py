"""Exports one span for each of several environments with the Python SDK, all at the same time.

    refused.py grpc|http < {"case": {"environment": {"VARIABLE": "value"}}}

Prints what the SDK told and logged, by case, in JSON.
"""

import importlib
import json
import logging
import os
import sys
import threading

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

cases = json.load(sys.stdin)
told = {case: [] for case in cases}


class ByThread(logging.Handler):
    """What an exporter logs belongs to the case whose thread it runs on."""

    def emit(self, record):
        told.get(threading.current_thread().name, []).append(record.getMessage())


logging.basicConfig(level=logging.WARNING, handlers=[ByThread()])
memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
with provider.get_tracer("refused").start_as_current_span("span"):
    pass
spans = memory.get_finished_spans()
Exporter = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{sys.argv[1]}.trace_exporter").OTLPSpanExporter


def export(case, exporter):
    succeeded = exporter.export(spans) is SpanExportResult.SUCCESS
    told[case].insert(0, "SUCCESS" if succeeded else "FAILURE")


threads = []
for case, how in cases.items():
    # An exporter reads its environment when it is made.
    before = dict(os.environ)
    os.environ.update(how["environment"])
    exporter = Exporter()
    os.environ.clear()
    os.environ.update(before)
    threads.append(threading.Thread(target=export, args=(case, exporter), name=case))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
json.dump({case: " ".join(texts) for case, texts in told.items()}, sys.stdout)
