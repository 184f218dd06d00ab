// Servers of Node.js that no exporter gets an answer from, each on a port of its own.
//
//   upstreams.mjs CERTIFICATE KEY
//
// Prints the ports in JSON, by what the server does, and runs until it is ended.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import tls from 'node:tls';

const [cert, key] = process.argv.slice(2).map((path) => readFileSync(path));
const GRPC = { ':status': 200, 'content-type': 'application/grpc' };
const servers = {};

// gRPC in the clear: what becomes of each stream.
function streams(name, onStream, options = {}) {
  servers[name] = http2.createServer(options);
  servers[name].on('stream', (stream) => {
    stream.on('error', () => {});
    onStream(stream);
  });
}
for (const code of ['INTERNAL_ERROR', 'CANCEL', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'REFUSED_STREAM']) {
  streams(`resets with ${code}`, (stream) => stream.close(http2.constants[`NGHTTP2_${code}`]));
}
streams('takes no streams', () => {}, { settings: { maxConcurrentStreams: 0 } });
streams('forgets the status', (stream) => stream.respond(GRPC, { endStream: true }));
streams('is a website', (stream) => {
  stream.respond({ ':status': 404, 'content-type': 'text/html' });
  stream.end('<h1>Not Found</h1>');
});
streams('redirects over HTTP/2', (stream) => stream.respond(
  { ':status': 308, location: 'https://elsewhere.example/' }, { endStream: true }));
streams('answers at length', (stream) => {
  stream.respond(GRPC, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const message = Buffer.alloc(5 + (5 << 20));
  message.writeUInt32BE(5 << 20, 1);
  stream.end(message);
});
streams('sends huge headers', (stream) => stream.respond(
  { ...GRPC, 'x-long': 'x'.repeat(300_000) }, { endStream: true }), { maxSendHeaderBlockLength: 1 << 20 });
streams('takes leave, and no more', (stream) => stream.session.goaway());
streams('takes leave', () => {});
servers['takes leave'].on('session', (session) => session.goaway());
streams('hangs up', (stream) => stream.session.destroy());
streams('never answers', () => {});
streams('opens no window', () => {}, { settings: { initialWindowSize: 0 } });
streams('never ends', (stream) => {
  stream.respond(GRPC);
  const dripping = setInterval(() => stream.write('\0'), 20);
  stream.on('close', () => clearInterval(dripping));
});

// OTLP over HTTP/1.1 in the clear.
function requests(name, onRequest, onConnect = () => {}) {
  servers[name] = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => onRequest(response));
  });
  servers[name].on('connect', (_request, socket) => onConnect(socket));
}
requests('redirects', (response) => response.writeHead(308, { location: 'https://elsewhere.example/' }).end());
requests('tears its body', (response) => {
  response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': 100 });
  response.write('half', () => response.socket.destroy());
});
requests('tears nothing but the connection', (response) => response.socket.destroy());
requests('answers with 5 MiB', (response) => response.end(Buffer.alloc(5 << 20)));
requests('has a huge head', (response) => response.writeHead(200, { 'x-long': 'x'.repeat(1 << 20) }).end());
requests('drips', (response) => {
  const dripping = setInterval(() => response.write('.'), 20);
  response.on('close', () => clearInterval(dripping));
});
// Proxies.
requests('wants a password',
  (response) => response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end(),
  (socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n'));
requests('forbids', () => {}, (socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
requests('cannot reach', () => {}, (socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
requests('hangs', () => {});

// TLS that comes to nothing.
servers['serves nobody'] = tls.createServer({
  cert, key, SNICallback: (name, done) => done(new Error(`no such tenant: ${name}`)),
});
servers['has no certificate'] = tls.createServer({});
servers['speaks HTTP/1.1 alone'] = tls.createServer({ cert, key, ALPNProtocols: ['http/1.1'] });

for (const server of Object.values(servers)) {
  // Clients that go away in the middle are what all this is about.
  server.on('sessionError', () => {}).on('tlsClientError', () => {}).on('clientError', () => {});
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
}
console.log(JSON.stringify(Object.fromEntries(
  Object.entries(servers).map(([name, server]) => [name, server.address().port]))));
