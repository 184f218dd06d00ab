// Exports one span for each of several environments with the Node.js SDK, all at the same time.
//
//   refused.mjs grpc|proto|http < {"case": {"VARIABLE": "value"}}
//
// Prints what the SDK told, by case, in JSON. The case "old-tls" comes last, with a process that
// speaks TLS 1.1 at most.
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

const { 'old-tls': old, ...modern } = cases;
const told = Object.fromEntries(await Promise.all(
  Object.entries(modern).map(async ([name, environment]) => [name, await exported(environment)])));
if (old) {
  tls.DEFAULT_MIN_VERSION = 'TLSv1';
  tls.DEFAULT_MAX_VERSION = 'TLSv1.1';
  tls.DEFAULT_CIPHERS = 'DEFAULT@SECLEVEL=0';
  told['old-tls'] = await exported(old);
}
process.stdout.write(JSON.stringify(told), () => process.exit(0));
