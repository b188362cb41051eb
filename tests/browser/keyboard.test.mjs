// By keyboard alone: sign in, skip to the content, pause a trunk and resume it, find a call.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { call, launch, open, stage } from './page.mjs';

let browser, page;
before(async () => {
  browser = await launch();
  ({ page } = await open(browser));
});
after(() => browser.close());

/** What has the focus; fails unless people can see that it has, and where. */
async function focused() {
  const stop = await page.evaluate(() => {
    const node = document.activeElement;
    const { top, bottom, left, right, width } = node.getBoundingClientRect();
    const { outlineStyle, outlineWidth } = getComputedStyle(node);
    const order = [...document.querySelectorAll('*')].indexOf(node);
    const isSeen = width > 0 && top >= 0 && left >= 0 && bottom <= innerHeight + 1 && right <= innerWidth + 1;
    const inside = node.closest('header.top, nav, main')?.localName;
    return { name: (node.labels?.[0] ?? node).textContent.trim(), tag: node.localName, isOutlined: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2, isSeen, inside, order };
  });
  if (stop.tag !== 'body' && stop.tag !== 'main') assert.ok(stop.isOutlined && stop.isSeen, `the focus is not to be seen: ${JSON.stringify(stop)}`);
  return stop;
}

/** Goes on by Tab to what has this name, in the order of the document. */
async function tabTo(name, most = 60) {
  let before = await focused();
  for (let stops = 0; stops < most; stops += 1) {
    await page.keyboard.press('Tab');
    const stop = await focused();
    assert.ok(stop.order > before.order, `from ${before.name} back to ${stop.name}`);
    if (stop.name === name) return stop;
    before = stop;
  }
  assert.fail(`there is no ${name}`);
}

async function follow(name) {
  await tabTo(name);
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
}

test('sign in', async () => {
  await page.goto(`${stage.url}/ui/trunks`);
  assert.equal((await focused()).name, 'Key');
  await page.keyboard.type(stage.key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Trunks' }).waitFor();
});

test('skip to the content', async () => {
  await page.keyboard.press('Tab');
  assert.equal((await focused()).name, 'Skip to the content');
  await page.keyboard.press('Enter');
  assert.equal((await focused()).tag, 'main');
  await page.keyboard.press('Tab');
  assert.equal((await focused()).inside, 'main');
});

test('pause a trunk, and resume it', async () => {
  await page.goto(`${stage.url}/ui/`);
  await follow('Trunks');
  await follow('default');
  await follow('Pause');
  assert.match((await focused()).name, /^Reason/);
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('It is paused').waitFor();
  assert.match(await page.getByRole('main').innerText(), /by keyboard/);
  await follow('Resume');
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('It is no longer paused').waitFor();
});

test('find a call', async () => {
  const { id } = await call('+14155550188');
  await page.goto(`${stage.url}/ui/`);
  await tabTo('Find a call');
  await page.keyboard.type('+1 415 555 0188');
  await page.keyboard.press('Enter');
  const link = page.getByRole('main').locator(`a[href*="${id}"]`).first();
  await link.waitFor();
  await follow((await link.textContent()).trim());
  assert.ok(page.url().includes(id));
  await page.getByRole('heading', { level: 1 }).waitFor();
});
