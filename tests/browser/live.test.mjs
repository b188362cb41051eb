// An open screen stays up to date by itself, and where it is.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { call, launch, open, signIn, stage } from './page.mjs';

let browser, page, complaints;
before(async () => {
  browser = await launch();
  ({ page, complaints } = await open(browser));
  await signIn(page);
});
after(() => browser.close());

test('a call that is dialled appears on the overview', async () => {
  const live = page.waitForResponse((answer) => answer.url().endsWith('/ui/live'));
  await page.goto(`${stage.url}/ui/`);
  assert.equal((await live).status(), 200);
  await page.evaluate(() => Object.assign(window, { kept: true, before: document.querySelector('main').innerText }));
  await call('+14155550177');
  await page.waitForFunction(() => document.querySelector('main').innerText !== window.before);
  assert.ok(await page.evaluate(() => window.kept), 'the screen was loaded again');
  assert.deepEqual(complaints, []);
});
