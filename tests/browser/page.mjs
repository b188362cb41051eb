// What the tests of the page share: the browser, the screens of the server, and what no screen may do.

import axe from 'axe-core';
import { chromium } from 'playwright-core';

// From tests/it/browser.rs: the server's URL and key, its screens, and what is there to be seen.
export const stage = JSON.parse(process.env.PGDIAL_STAGE);

export const WIDTHS = { phone: { width: 390, height: 844 }, desktop: { width: 1440, height: 900 } };
export const SCHEMES = ['light', 'dark'];

export function launch() {
  return chromium.launch({
    executablePath: process.env.PGDIAL_CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** A page that notes every word of complaint of the browser. `options` are those of a browser context. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: WIDTHS.desktop, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
  page.on('dialog', (dialog) => complaints.push(`dialog: ${dialog.message()}`) && dialog.dismiss());
  if (options.javaScriptEnabled !== false) {
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI || event.sourceFile || 'inline'}`),
      );
    });
  }
  return { page, context, complaints };
}

export async function signIn(page, url = stage.url) {
  await page.goto(`${url}/ui/sign-in`);
  await page.getByLabel('Key').fill(stage.key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Screens' }).waitFor();
}

/** Every address of every screen that is read: each path of the list, with each thing that stands for its parameter. */
export function addresses() {
  const found = [];
  for (const { method, path } of stage.screens) {
    if (method !== 'GET') continue;
    found.push(...filled(path).map((address) => ({ path, address })));
  }
  return found;
}

export function filled(path) {
  // What is said of the longest beginning of the path: an act may need another thing than the screen before it.
  const known = Object.keys(stage.places).filter((it) => it === path || (it.includes('{') && path.startsWith(`${it}/`)));
  const values = stage.places[known.sort().at(-1)];
  if (!path.includes('{')) return (values ?? ['']).map((query) => `${path}${query}`);
  if (!values) throw new Error(`nothing is staged for ${path}`);
  return values.map((value) => path.replace(/\{\w+\}/, encodeURIComponent(value)));
}

/** Whether an address is a screen, and not a file or a stream. */
export async function isScreen(page, address) {
  const abort = new AbortController();
  const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const answer = await fetch(`${stage.url}${address}`, { headers: { cookie, accept: 'text/html' }, signal: abort.signal });
  abort.abort();
  return answer.headers.get('content-type').startsWith('text/html');
}

// In the page: what is wrong with its layout, and what came to life that should be text.
function faults() {
  const found = [];
  const name = (node) => `${node.localName}${node.id && `#${node.id}`}${[...node.classList].map((it) => `.${it}`).join('')}`;
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the body is ${root.scrollWidth} px wide`);
  // Something that sticks out of its card, unless it is inside of what scrolls.
  for (const card of document.querySelectorAll('main, .card, .verdict, td, th, dd')) {
    const edge = card.getBoundingClientRect().right;
    if (!edge || card.closest('.hidden, thead') || card.closest('.wide')?.contains(card) && getComputedStyle(card).overflowX !== 'visible') continue;
    const scrolls = (node) => { for (let it = node; it && it !== card.parentElement; it = it.parentElement) if (getComputedStyle(it).overflowX !== 'visible') return true; return false; };
    const text = [...card.querySelectorAll('*')].find((node) => !node.closest('svg, .hidden, thead') && node.getClientRects().length && node.getBoundingClientRect().right > edge + 1 && !scrolls(node));
    if (text) found.push(`${name(text)} sticks out of ${name(card)}`);
  }
  if (window.ran) found.push('a script of somebody else has run');
  for (const node of document.querySelectorAll('*')) {
    const handler = [...node.attributes].find((it) => it.name.startsWith('on') || /^\s*javascript:/i.test(it.value));
    if (handler || (node.localName === 'script' && !node.src) || node.style?.length) found.push(`${name(node)} ${handler?.name ?? 'inline'}`);
  }
  const text = document.body.textContent + document.title;
  if (/[\u202a-\u202e\u2066-\u2069]/.test(text)) found.push('it turns the direction of text');
  return found;
}

const STANDARDS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];

/** What is wrong with a screen as it stands, in words. */
export async function wrong(page) {
  await page.evaluate(`window.axe || (() => { ${axe.source} })()`);
  const found = await page.evaluate(faults);
  const violations = await page.evaluate(
    (values) => window.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] }).then((it) => it.violations),
    STANDARDS,
  );
  for (const { id, nodes } of violations) {
    for (const { html, any } of nodes.slice(0, 3)) found.push(`axe ${id}: ${html.slice(0, 160)} ${any[0]?.message ?? ''}`);
  }
  return found;
}

/** What is wrong with a screen at every width, by day and by night. */
export async function wrongAnywhere(page) {
  const found = [];
  for (const [width, viewport] of Object.entries(WIDTHS)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      found.push(...(await wrong(page)).map((fault) => `${width}, ${colorScheme}: ${fault}`));
    }
  }
  return found;
}

/** Enqueues a call by the API. */
export async function call(to, more = {}) {
  const headers = { authorization: `Bearer ${stage.key}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ to, scriptId: 'welcome', ...more });
  const answer = await fetch(`${stage.url}/api/v1/calls`, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}
