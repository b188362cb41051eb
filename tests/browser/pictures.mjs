// Pictures of the screens, into the folder PGDIAL_PICTURES: scripts/screenshots.

import { mkdir } from 'node:fs/promises';
import { filled, isScreen, launch, open, SCHEMES, signIn, stage, WIDTHS } from './page.mjs';

const posted = new Set(stage.screens.filter(({ method }) => method === 'POST').map(({ path }) => path));
// The forms of acts look all alike.
const isAct = (path) => posted.has(path) && path.split('/').length > 3;
const screens = stage.screens.filter(({ method, path }) => method === 'GET' && !isAct(path));

/** `/ui/calls/{id}` is `call`, `/ui/calls` is `calls`. */
function nameOf(path) {
  const words = path.slice('/ui/'.length).replace(/s\/\{\w+\}/g, '').replaceAll('/', '-');
  return words || 'overview';
}

const folder = process.env.PGDIAL_PICTURES;
await mkdir(folder, { recursive: true });
const browser = await launch();
for (const [width, viewport] of Object.entries(WIDTHS)) {
  const { page } = await open(browser, { viewport, deviceScaleFactor: width === 'phone' ? 2 : 1 });
  await signIn(page);
  for (const { path } of screens) {
    const [address] = filled(path);
    if (!(await isScreen(page, address))) continue;
    const answer = await page.goto(`${stage.url}${address}`);
    if (!answer.ok()) throw new Error(`${address}: ${answer.status()}`);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: `${folder}/${nameOf(path)}-${width}-${colorScheme}.png`, animations: 'disabled' });
    }
  }
}
await browser.close();
