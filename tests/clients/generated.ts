// The API through what openapi-typescript makes of its document: scripts/check-clients.
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const [url, to] = process.argv.slice(2);
expect(url !== undefined && to !== undefined, 'usage: generated.js URL NUMBER');
const client = createClient<paths>({ baseUrl: url });

const runAt = new Date(Date.now() + 24 * 60 * 60 * 1000).toISOString();
const request: components['schemas']['CallRequest'] = { to, scriptId: 'welcome', metadata: { name: 'Ada' }, runAt };
const created = await client.POST('/api/v1/calls', { body: request });
expect(created.data !== undefined, `not created: ${created.error?.detail}`);
const call = created.data;

const shown = await client.GET('/api/v1/calls/{id}', { params: { path: { id: call.id } } });
expect(shown.data?.state === 'waiting', `not shown as waiting: ${shown.data?.state}`);

const listed = await client.GET('/api/v1/calls', { params: { query: { to, state: ['waiting'], limit: 1 } } });
expect(listed.data?.calls[0]?.id === call.id, 'not listed');

const canceled = await client.POST('/api/v1/calls/{id}/cancel', {
  params: { path: { id: call.id } },
  body: { why: 'a test' },
});
expect(canceled.data?.result === 'canceled', 'not canceled');

const refused = await client.POST('/api/v1/calls', { body: { to: '555', scriptId: 'welcome' } });
expect(refused.error?.code === 'invalid_request', 'not refused');
expect(refused.error.errors?.[0]?.pointer === '#/to', 'the fault has no pointer');

console.log(call.id, canceled.data.call.state);
