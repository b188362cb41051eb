// A client for pgdial's API: Node.js 18 or newer, no packages.
//
//   PGDIAL_URL=http://127.0.0.1:8080 PGDIAL_KEY=... node client.mjs +14155550123
//
// One POST replaces BullMQ's `queue.add(name, data, { jobId, delay, attempts, priority })`.

const url = process.env.PGDIAL_URL ?? 'http://127.0.0.1:8080';
const key = process.env.PGDIAL_KEY;

class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem.code; // stable: suppressed, unknown_campaign, idempotency_key_reused, ...
  }
}

async function request(method, path, body, headers = {}) {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(key && { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

/** Requests a call. The same key returns the same call, so a retry after a timeout rings nobody twice. */
export async function enqueue(call, idempotencyKey) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request('POST', '/api/v1/calls', call, { 'idempotency-key': idempotencyKey });
    } catch (error) {
      const passing = !(error instanceof Refused) || error.status >= 500 || error.status === 409;
      if (!passing || attempt === 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt));
    }
  }
}

export const show = (id) => request('GET', `/api/v1/calls/${id}`);
export const why = (id) => request('GET', `/api/v1/calls/${id}/why`);
export const cancel = (id, reason) => request('POST', `/api/v1/calls/${id}/cancel`, { why: reason });

const to = process.argv[2];
if (to) {
  const call = await enqueue({ to, scriptId: 'welcome', metadata: { name: 'Ada' } }, `order-${to}`);
  const again = await enqueue({ to, scriptId: 'welcome', metadata: { name: 'Ada' } }, `order-${to}`);
  if (again.id !== call.id) throw new Error('the same key brought another call');
  console.log(call.id, (await show(call.id)).state);
}
