// Every screen that the server names, with what strangers may write on it: at both widths, by day and by night. Then
// every act is done.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addresses, filled, isScreen, launch, open, signIn, stage, wrong, wrongAnywhere } from './page.mjs';

let browser, page, complaints;
before(async () => {
  browser = await launch();
  ({ page, complaints } = await open(browser));
  await signIn(page);
});
after(() => browser.close());

const seen = [{ address: '/ui/sign-in' }, ...addresses()];

for (const { path, address } of seen) {
  test(address, async () => {
    if (!(await isScreen(page, address))) return;
    complaints.length = 0;
    const answer = await page.goto(`${stage.url}${address}`);
    assert.equal(answer.status(), 200);
    assert.deepEqual([...(await wrongAnywhere(page)), ...complaints], []);
    const text = await page.locator('body').textContent();
    assert.doesNotMatch(text, /\+1415555\d{4}/, 'a whole number');
    // Or there was nothing to be checked.
    if (path?.endsWith('}') && !address.endsWith('/default')) assert.match(text, /<script>ran=1/);
  });
}

const WHY = '"><script>ran=1</script> tests';
const LISTED = '+14155550099';
const LIST = 'Name,Phone\n"""><script>ran=1</script>",+1 415 555 0166\nnobody,nothing';
// How acts are done that need more than a reason, and what is to be seen then, if not words about what was done.
const HOW = {
  '/ui/new-campaign': { fields: { name: 'made_by_tests' } },
  '/ui/campaigns/{name}/set': { fields: { maxAttempts: '4' } },
  '/ui/trunks/{name}/set': { fields: { slots: '28' } },
  '/ui/calls/{id}/amend': { fields: { priority: '7' } },
  '/ui/calls/{id}/resolve': { fields: { as: 'not_placed' } },
  '/ui/calls/resolve': { fields: { as: 'not_placed' } },
  '/ui/calls/{id}/unmask': { shows: /\+1415555\d{4}/, everywhere: true },
  '/ui/upload': { fields: { list: LIST, script: 'welcome' }, then: /^Enqueue/, everywhere: true },
  '/ui/do-not-call': { fields: { to: LISTED }, shows: /Take off/ },
  '/ui/do-not-call/add': { by: 'Put on the list' },
  '/ui/do-not-call/remove': { by: 'Take off' },
  '/ui/do-not-call/forget': { by: 'Forget it' },
};

/** The form that posts to this address. */
async function formOf(address) {
  const forms = page.locator('main form[method=post]');
  const at = await forms.evaluateAll((all, path) => all.findIndex((form) => new URL(form.action).pathname === path), address.split('?')[0]);
  assert.notEqual(at, -1, `no form posts to ${address}`);
  return forms.nth(at);
}

async function fill(form, fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = form.locator(`[name="${name}"]`);
    if (!(await field.count())) continue;
    if (await field.evaluate((it) => it.localName === 'select')) await field.selectOption(value);
    else await field.fill(value);
  }
}

for (const { path } of stage.screens.filter(({ method, path }) => method === 'POST' && path !== '/ui/sign-out')) {
  const { fields, shows, by, then, everywhere } = HOW[path] ?? {};
  for (const address of filled(path)) {
    test(`${address}, done`, async () => {
      await page.goto(`${stage.url}${by ? '/ui/do-not-call' : address}`);
      if (by) {
        await page.getByLabel('Number').fill(LISTED);
        await page.getByRole('button', { name: 'Look up' }).click();
        await page.getByRole('button', { name: by }).first().click();
      }
      let form = await formOf(address);
      if (await form.locator('[name=why][required]').count()) {
        await form.evaluate((it) => { it.noValidate = true; it.requestSubmit(); });
        await page.getByRole('alert').waitFor();
        form = await formOf(address);
      }
      await page.locator('main details').evaluateAll((all) => all.forEach((it) => { it.open = true; }));
      await fill(form, { why: WHY, ...fields });
      await form.locator('button').first().click();
      if (then) await page.getByRole('button', { name: then }).click();
      if (shows) await page.getByRole('main').getByText(shows).first().waitFor();
      else await page.getByRole('status').waitFor();
      assert.deepEqual(await (everywhere ? wrongAnywhere : wrong)(page), []);
    });
  }
}
