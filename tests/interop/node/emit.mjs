// Exports traces, metrics and logs with the Node.js SDK, as its environment says.
//
//   emit.mjs grpc|proto|http RUN     (proto is HTTP with protobuf, http is HTTP with JSON)
//
// Ends with 0 only if the SDK was told of success for all three.
import { context, diag, DiagConsoleLogger, DiagLogLevel, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
const [protocol, run] = process.argv.slice(2);
const resource = resourceFromAttributes({ 'service.name': 'node', 'interop.run': run });
const told = {};

// An exporter that remembers what it was told.
async function recording(signal, module, name) {
  const Exporter = (await import(`@opentelemetry/exporter-${module}-otlp-${protocol}`))[name];
  const exporter = new Exporter();
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) => send(items, (result) => {
    (told[signal] ??= []).push(result.code === 0 ? 'SUCCESS' : String(result.error));
    done(result);
  });
  return exporter;
}

const traces = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(await recording('traces', 'trace', 'OTLPTraceExporter'))],
});
const tracer = traces.getTracer('interop', '1.0');
const parent = tracer.startSpan('parent', { attributes: { answer: 42, ok: true } });
for (let index = 0; index < 3; index++) {
  const child = tracer.startSpan(`child ${index}`, { links: [{ context: parent.spanContext() }] },
    trace.setSpan(context.active(), parent));
  child.addEvent('event', { text: 'h\u00e9llo' });
  child.setAttribute('list', ['a', 'b']);
  child.end();
}
parent.end();

const metrics = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({
    exporter: await recording('metrics', 'metrics', 'OTLPMetricExporter'),
    exportIntervalMillis: 3_600_000,
  })],
});
const meter = metrics.getMeter('interop', '1.0');
meter.createCounter('counter', { unit: '1' }).add(5, { key: 'value' });
meter.createHistogram('histogram', { unit: 'ms' }).record(12.5);
meter.createGauge('gauge').record(-3);

const logs = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: await recording('logs', 'logs', 'OTLPLogExporter') })],
});
const logger = logs.getLogger('interop', '1.0');
for (let index = 0; index < 2; index++) {
  logger.emit({
    body: `line ${index}`, severityNumber: SeverityNumber.WARN, severityText: 'WARN', attributes: { index },
  });
}

for (const provider of [traces, metrics, logs]) {
  // Sends what is left; a failed export is in `told`.
  await provider.shutdown().catch(() => {});
}
console.log(JSON.stringify(told));
const results = Object.values(told).flat();
process.exitCode = Object.keys(told).length === 3 && results.every((r) => r === 'SUCCESS') ? 0 : 1;
