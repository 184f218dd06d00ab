// Exports one span for each of several environments with the Node.js SDK, all at the same time.
//
//   refused.mjs grpc|proto|http < {"case": {"environment": {"VARIABLE": "value"}, "tls": null}}
//
// Prints what the SDK told, by case, in JSON. Cases with other defaults for module `tls` come last,
// one after the other.
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';

const cases = JSON.parse(readFileSync(0, 'utf8'));
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${process.argv[2]}`);
const spans = [];
const provider = new BasicTracerProvider({
  spanProcessors: [{ onStart() {}, onEnd(span) { spans.push(span); }, shutdown: async () => {}, forceFlush: async () => {} }],
});
provider.getTracer('refused').startSpan('span').end();

function exported(environment) {
  // An exporter reads its environment when it is made, or when it first sends.
  const before = { ...process.env };
  Object.assign(process.env, environment);
  const exporter = new OTLPTraceExporter();
  const told = new Promise((resolve) => {
    exporter.export(spans, (result) => resolve(
      result.code === 0 ? 'SUCCESS' : `FAILURE ${result.error} ${result.error?.cause ?? ''} ${result.error?.data ?? ''}`));
  });
  for (const key of Object.keys(environment)) {
    if (key in before) process.env[key] = before[key];
    else delete process.env[key];
  }
  return told;
}

const told = {};
const isPlain = ([, { tls: defaults }]) => !defaults;
await Promise.all(Object.entries(cases).filter(isPlain).map(async ([name, { environment }]) => {
  told[name] = await exported(environment);
}));
for (const [name, { environment, tls: defaults }] of Object.entries(cases).filter((one) => !isPlain(one))) {
  const before = { ...tls };
  Object.assign(tls, defaults);
  told[name] = await exported(environment);
  for (const key of Object.keys(defaults)) tls[key] = before[key];
}
process.stdout.write(JSON.stringify(told), () => process.exit(0));
