// Every screen that the server names, with what strangers may write on it: at both widths, by day and by night.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addresses, isScreen, launch, open, signIn, stage, wrongAnywhere } from './page.mjs';

let browser, page, complaints;
before(async () => {
  browser = await launch();
  ({ page, complaints } = await open(browser));
  await signIn(page);
});
after(() => browser.close());

const seen = [{ path: '/ui/sign-in', address: '/ui/sign-in' }, ...addresses(), ...stage.further.map((address) => ({ path: address, address }))];

for (const { address } of seen) {
  test(address, async () => {
    if (!(await isScreen(page, address))) return;
    complaints.length = 0;
    const answer = await page.goto(`${stage.url}${address}`);
    assert.equal(answer.status(), 200);
    assert.deepEqual([...(await wrongAnywhere(page)), ...complaints], []);
    const numbers = (await page.locator('body').innerText()).match(/\+1415555\d{4}/g);
    assert.equal(numbers, null, 'whole numbers');
  });
}
