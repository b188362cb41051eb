// Every screen that the server names, with what strangers may write on it: at both widths, by day and by night. Then
// every act is done.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addresses, filled, isScreen, launch, open, signIn, stage, wrongAnywhere } from './page.mjs';

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

// What an act needs besides its reason; and where it leads, if not to a screen that says what was done.
const FIELDS = {
  '/ui/trunks/{name}/set': { slots: '28' },
  '/ui/campaigns/{name}/set': { maxAttempts: '4' },
};

const acts = stage.screens.filter(({ method }) => method === 'POST').map(({ path }) => path);
const isAsked = (path) => stage.screens.some((screen) => screen.method === 'GET' && screen.path === path);

for (const path of acts.filter((path) => path !== '/ui/sign-out')) {
  for (const address of filled(path)) {
    test(`${address}, done`, async () => {
      // An act has a screen of its own, or stands on that of what it is about.
      const from = isAsked(path) ? address : address.slice(0, address.lastIndexOf('/'));
      await page.goto(`${stage.url}${from}`);
      const forms = page.locator('main form[method=post]');
      const at = await forms.evaluateAll((all, address) => all.findIndex((form) => new URL(form.action).pathname === address), address);
      assert.notEqual(at, -1, 'there is no form');
      const form = forms.nth(at);
      if (await form.locator('[name=why][required]').count()) {
        await form.evaluate((it) => { it.noValidate = true; it.requestSubmit(); });
        await page.getByRole('alert').waitFor();
      }
      for (const [name, value] of Object.entries({ why: '"><script>ran=1</script> tests', ...FIELDS[path] })) {
        const field = form.locator(`[name="${name}"]`);
        if (await field.count()) await field.fill(value);
      }
      await form.locator('button:not([formaction])').last().click();
      await page.getByRole('status').waitFor();
      assert.deepEqual(await wrongAnywhere(page), []);
    });
  }
}
