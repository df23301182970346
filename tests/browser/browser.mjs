// A browser without a window, whose pages remember what they were not allowed to do.

import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--no-zygote",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(executablePath) {
  return chromium.launch({ executablePath, args: FLAGS });
}

/** Opens a page; `faults` collects its errors and everything its content policy forbade. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  await page.exposeFunction("tellFault", (fault) => faults.push(fault));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
      globalThis.tellFault(`policy: ${violatedDirective} forbids ${blockedURI}`),
    );
  });
  await page.goto(url);
  return { page, faults };
}
