// Opens the console of a relay in development mode and lets its agents talk.
//
//   node tests/browser/console.mjs --url http://HOST:PORT [--browser PROGRAM] [--screenshots FOLDER]

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { launch, open } from "./browser.mjs";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    browser: { type: "string" },
    screenshots: { type: "string", default: fileURLToPath(new URL("../../target/console/", import.meta.url)) },
  },
});
if (!values.url) {
  console.error("--url http://HOST:PORT is needed");
  process.exit(2);
}
// More than the lease that the relay is started with.
const LEASE_MS = 15_000;
mkdirSync(values.screenshots, { recursive: true });

const address = new URL("/console", values.url).href;
const browser = await launch(values.browser ?? provided());
let [passed, failed] = [0, 0];

function provided() {
  const script = fileURLToPath(new URL("../setup/chromium.sh", import.meta.url));
  return execFileSync(script, { encoding: "utf8" }).trim();
}

async function check(name, test) {
  try {
    await test();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}: ${error.message}`);
  }
}

const panel = (page, at) => page.locator(".agent").nth(at);
const frames = (agent, type, text) => {
  const ofType = agent.page().locator(".type", { hasText: new RegExp(`^${type}$`) });
  return agent.locator(".log li").filter({ has: ofType, hasText: text });
};
const shows = (locator) => locator.first().waitFor({ timeout: 5000 });
const state = (agent, name) => shows(agent.locator(`.state[data-state="${name}"]`));
const press = (agent, name) => agent.getByRole("button", { name, exact: true }).click();
const shoot = (page, name) => page.screenshot({ path: `${values.screenshots}/${name}.png` });

const { page, faults } = await open(browser, address, { colorScheme: "light" });
const [alice, bob] = [panel(page, 0), panel(page, 1)];

await check("both agents connect", async () => {
  for (const agent of [alice, bob]) {
    await press(agent, "Connect");
    await state(agent, "connected");
    await shows(frames(agent, "welcome", "session/"));
  }
});
await check("a message shows on the other side, and its receipt on this", async () => {
  await alice.getByLabel(/^Payload/).fill('{"text": "Grüße, bob"}');
  await press(alice, "Send");
  await shows(frames(bob, "message", "Grüße, bob"));
  await shows(frames(alice, "receipt", "queued"));
});
await check("text that is no JSON is sent as a string", async () => {
  await bob.getByLabel(/^Payload/).fill("plain <b>text</b>");
  await press(bob, "Send");
  await shows(frames(alice, "message", '"plain <b>text</b>"'));
});
await check("a frame unfolds to its JSON", async () => {
  const frame = frames(bob, "message", "Grüße").first();
  await frame.locator("summary").click();
  await shows(frame.locator("pre", { hasText: '"from": "agent/alice"' }));
});
await check("a topic reaches its subscriber until it leaves", async () => {
  await press(bob, "Subscribe");
  await shows(frames(bob, "ok", ""));
  await press(alice, "Publish");
  await shows(frames(bob, "message", "topic/news.today"));
  await press(bob, "news.today ×");
  await shows(frames(bob, "unsubscribe", "news.today"));
});
await check("a request is answered", async () => {
  await press(alice, "Request");
  await shows(alice.locator(".detail", { hasText: "agent/bob replied in" }));
});
await check("nobody there is told", async () => {
  await alice.getByLabel("Address").fill("agent/nobody");
  await press(alice, "Send");
  await shows(frames(alice, "receipt", "no_recipient"));
});
await shoot(page, "light");
await check("an agent whose lease is over has its next connection before it leaves", async () => {
  await frames(bob, "drain", "lease").first().waitFor({ timeout: LEASE_MS });
  await shows(bob.locator(".detail", { hasText: /generation [2-9]/ }));
  await shows(frames(bob, "closing", "replaced"));
  await alice.getByLabel("Address").fill("agent/bob");
  await alice.getByLabel(/^Payload/).fill('"after the move"');
  await press(alice, "Send");
  await shows(frames(bob, "message", "after the move"));
});
await check("a tab of its own talks to the others", async () => {
  const tab = await open(browser, `${address}?agent=carol`, { colorScheme: "dark" });
  const carol = panel(tab.page, 0);
  await press(carol, "Connect");
  await state(carol, "connected");
  await carol.getByLabel("Address").fill("agent/bob");
  await press(carol, "Send");
  await shows(frames(bob, "message", "from agent/carol"));
  await shoot(tab.page, "dark-single");
  faults.push(...tab.faults);
  await tab.page.context().close();
});
await check("leaving is said with its reason", async () => {
  await press(alice, "Disconnect");
  await state(alice, "off");
  await shows(alice.locator(".detail", { hasText: "closed with 1000: done" }));
  await shows(alice.getByRole("button", { name: "Connect", exact: true }));
});
await check("the page fits a narrow dark screen", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "dark");
  await page.setViewportSize({ width: 390, height: 844 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) throw new Error(`${overflow} pixels too wide`);
  await page.screenshot({ path: `${values.screenshots}/narrow.png`, fullPage: true });
});
await check("no error, no warning, nothing against the content policy", async () => {
  if (faults.length > 0) throw new Error(faults.join("; "));
});

await browser.close();
console.log(`console: ${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
