// The checks themselves: each is shown a document with one fault, and has to find it.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { launch, open, WIDTHS, wrong } from './page.mjs';

const FAULTS = {
  'the body is': '<p class="nowrap">' + 'W'.repeat(400),
  'sticks out of main': '<div class="card"><pre class="wide">x</pre></div><main><p class="out">',
  'policy: style-src-attr': '<p style="color: red">red</p>',
  'policy: script-src': '<script>window.ran = 1</script>',
  'img onerror': '<img alt="" src="data:," onerror="ran=1">',
  'turns the direction': '<p>\u202ekrowten</p>',
  'axe label': '<input>',
  'axe color-contrast': '<p class="pale">pale</p>',
};
const STYLE = '.nowrap { white-space: nowrap } .pale { color: #ccc; background: #fff } main { width: 9rem } .out { width: 12rem; height: 1rem }';
const HEAD = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>t</title><link rel="icon" href="data:,"><link rel="stylesheet" href="style.css"></head><body>';

let browser, server;
before(async () => {
  browser = await launch();
  server = createServer(({ url }, response) => {
    const at = Number(url.slice(1));
    response.setHeader('content-security-policy', "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:");
    if (Number.isNaN(at)) return response.setHeader('content-type', 'text/css').end(STYLE);
    response.setHeader('content-type', 'text/html').end(`${HEAD}${Object.values(FAULTS)[at] ?? '<main><h1>Good</h1></main>'}`);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
});
after(() => Promise.all([browser.close(), server.close()]));

for (const [at, fault] of [...Object.keys(FAULTS), undefined].entries()) {
  test(fault ?? 'a good document', async () => {
    const { page, context, complaints } = await open(browser, { viewport: WIDTHS.phone });
    await page.goto(`http://127.0.0.1:${server.address().port}/${at}`);
    const found = [...(await wrong(page)), ...complaints];
    if (fault) assert.ok(found.some((it) => it.includes(fault)), `found: ${found.join('\n')}`);
    else assert.deepEqual(found, []);
    await context.close();
  });
}
