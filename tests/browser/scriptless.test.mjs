// Without JavaScript: every screen reads, and acts work.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addresses, isScreen, launch, open, signIn, stage } from './page.mjs';

let browser, page;
before(async () => {
  browser = await launch();
  ({ page } = await open(browser, { javaScriptEnabled: false }));
  await signIn(page);
});
after(() => browser.close());

test('screens read', async () => {
  for (const { address } of addresses()) {
    if (!(await isScreen(page, address))) continue;
    await page.goto(`${stage.url}${address}`);
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1, address);
    const idle = page.locator('[hidden], noscript');
    assert.equal(await idle.count(), 0, `${address} keeps something for those with JavaScript`);
  }
});

test('a trunk is paused, refused without a reason, and resumed', async () => {
  await page.goto(`${stage.url}/ui/trunks/default`);
  await page.getByRole('link', { name: 'Pause' }).click();
  await page.getByLabel('Reason').fill(' ');
  await page.getByRole('button', { name: 'Pause it' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Reason').fill('without JavaScript');
  await page.getByRole('button', { name: 'Pause it' }).click();
  await page.getByRole('status').getByText('It is paused').waitFor();
  await page.getByRole('link', { name: 'Resume' }).click();
  await page.getByLabel('Reason').fill('without JavaScript');
  await page.getByRole('button', { name: 'Resume it' }).click();
  await page.getByRole('status').getByText('It is no longer paused').waitFor();
});
