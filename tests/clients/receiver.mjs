// A receiver of events, with the library of Standard Webhooks: scripts/check-clients.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { Webhook } from 'standardwebhooks';

const [url, to] = process.argv.slice(2);
const received = [];
const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request.setEncoding('utf8')) body += part;
  received.push({ headers: request.headers, body });
  response.writeHead(204).end();
  server.emit('received');
}).listen(0, '127.0.0.1');
await once(server, 'listening');

async function ask(method, path, body) {
  const response = await fetch(`${url}/api/v1/${path}`, {
    method,
    headers: body && { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text && JSON.parse(text);
}

async function verified(secret) {
  if (received.length === 0) await once(server, 'received', { signal: AbortSignal.timeout(60_000) });
  const { headers, body } = received.shift();
  let passes = true;
  try {
    new Webhook('whsec_bm90IHRoZSBzZWNyZXQ=').verify(body, headers);
  } catch {
    passes = false;
  }
  if (passes) throw new Error('another secret verifies it too');
  return new Webhook(secret).verify(body, headers);
}

const name = `node-${to.slice(-4)}`;
const hooks = `http://127.0.0.1:${server.address().port}/hooks`;
const { secret } = await ask('POST', 'endpoints', { name, url: hooks, kinds: ['waiting'] });
const call = await ask('POST', 'calls', { to, scriptId: 'welcome', metadata: { name: 'Ada' } });
const event = await verified(secret);
if (event.type !== 'call.waiting' || event.data.callId !== call.id || event.data.to !== to) {
  throw new Error(JSON.stringify(event));
}

// Both secrets verify while one replaces the other.
const rotated = await ask('POST', `endpoints/${name}/rotate`, { overlap: '1 hour' });
for (const each of [secret, rotated.secret]) {
  await ask('POST', `endpoints/${name}/test`);
  if ((await verified(each)).type !== 'test') throw new Error('not the test');
}
await ask('DELETE', `endpoints/${name}`);
console.log(call.id, event.data.kind);
server.close();
server.closeAllConnections();
