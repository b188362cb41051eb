// Behind a proxy that takes a prefix away: nothing leads out of it, and nothing is missing.

import assert from 'node:assert/strict';
import { createServer, request as ask } from 'node:http';
import { after, before, test } from 'node:test';
import { addresses, isScreen, launch, open, signIn, stage } from './page.mjs';

const PREFIX = '/seat/of/pgdial';
const outside = [];
let browser, page, complaints, proxy, url;
before(async () => {
  proxy = createServer((request, response) => {
    if (!request.url.startsWith(`${PREFIX}/`)) {
      outside.push(request.url);
      return response.writeHead(404).end();
    }
    const { method, headers } = request;
    const onward = ask(`${stage.url}${request.url.slice(PREFIX.length)}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${proxy.address().port}${PREFIX}`;
  browser = await launch();
  ({ page, complaints } = await open(browser));
  await signIn(page, url);
});
after(async () => {
  await browser.close();
  proxy.closeAllConnections();
  proxy.close();
});

test('every link of every screen leads to a screen below the prefix', async () => {
  const links = new Map();
  for (const { address } of addresses()) {
    if (!(await isScreen(page, address))) continue;
    await page.goto(`${url}${address}`);
    const found = await page.$$eval('a[href], form[action]', (nodes) => nodes.map((node) => node.href ?? node.action));
    for (const link of found) links.set(link.split('#')[0], address);
  }
  const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const broken = [];
  for (const [link, address] of links) {
    const { status } = link.startsWith(url) ? await fetch(link, { headers: { cookie, accept: 'text/html' } }) : {};
    // A form that only posts is no screen.
    if (status !== 200 && !(status === 405)) broken.push(`${address} leads to ${link}: ${status}`);
  }
  assert.deepEqual([...broken, ...outside, ...complaints], []);
});

test('an act leads back, and the screen lives', async () => {
  await page.goto(`${url}/ui/trunks/default/set`);
  await page.getByLabel('Slots').fill('29');
  await page.getByLabel('Reason').fill('behind a proxy');
  const live = page.waitForResponse((answer) => answer.url().endsWith('/ui/live'));
  await page.getByRole('button', { name: 'Change it' }).click();
  await page.getByRole('status').waitFor();
  assert.equal((await live).status(), 200);
  assert.ok(page.url().startsWith(`${url}/ui/trunks/default?`));
  assert.deepEqual(outside, []);
});
