// SPDX-License-Identifier: Apache-2.0
// A page with nothing but the API, for tests that use it as a page of one's own does.
import type * as Api from '../web/api/index.ts';
import { Visit, type Site } from './support.ts';

declare global {
  var api: typeof Api;
  var machines: Api.Machine[];
}

/** An empty page of the site with the API as `globalThis.api`. */
export async function withApi(site: Site, body: (visit: Visit) => Promise<void>): Promise<void> {
  const visit = await Visit.blank(site);
  try {
    const address = `${site.url}empty.html`;
    await visit.page.route(address, (route) => route.fulfill({
      contentType: 'text/html',
      headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
      body: '<!doctype html><link rel="icon" href="data:,"><script type="module">globalThis.api = await import("./hartwood.js");</script>',
    }));
    await visit.page.goto(address);
    await visit.page.waitForFunction(() => 'api' in globalThis);
    await body(visit);
  } catch (error) {
    await visit.context.close();
    throw error;
  }
  await visit.close();
}
