// What the page says while things go wrong: a server that is away or upgraded, a
// network that is gone, a clock that is wrong, a day that goes on, frames of long ago.

import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { launch, watch } from "./browser";
import { drive, frame, Node, noon, until } from "./node";

const ACCOUNT = { email: "ana@example.org", password: "correct horse battery staple", name: "Ana" };
const VAN = 0x0a3f73;
const PAST = 0x0a3f75;
const SOON = 30_000;
const FOUNDING = Buffer.from("50F70A3F74025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4", "hex");

let node: Node;
let browser: Browser;
let nowS: number;

beforeAll(async () => {
  [node, browser] = await Promise.all([Node.start(), launch()]);
  nowS = Math.floor(Date.now() / 1000) - 60;
  await node.publish(drive(VAN, nowS - 700, 600));
  // It stands for 10 minutes, and goes on standing.
  for (let s = 680; s >= 0; s -= 40) await node.publish(at(-s, 0));
  await node.publish(FOUNDING);
  await node.publish(drive(PAST, nowS - 5 * 86_400, 300));
  const answer = await fetch(`${node.url}/register/user`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(ACCOUNT),
  });
  expect(answer.ok).toBe(true);
});

afterAll(async () => {
  await browser?.close();
  await node?.remove();
});

/** The van, so many seconds after what was recorded before the tests. */
function at(s: number, speedKmh: number): Buffer {
  const moved = Math.max(0, s) * 0.00015;
  return frame({
    device: VAN,
    atS: nowS + s,
    latitude: -19.86 + moved,
    longitude: -43.94,
    speedKmh,
    odometerM: 1_010_000 + Math.round(Math.max(0, s) * 16.7),
    ignition: speedKmh > 0,
  });
}

/** A browser of its own, signed in. */
async function visitor(
  prepare: (page: Page) => Promise<void> = async () => undefined,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; context: BrowserContext; faults: string[] }> {
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId: noon(new Date()),
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  await page.addInitScript("window.nemesesMeasure = { onMap(map) { this.map = map; } }");
  const faults = watch(page, node.url);
  await prepare(page);
  await page.goto(node.url);
  await page.getByLabel("E-mail address").fill(ACCOUNT.email);
  await page.getByLabel("Password").fill(ACCOUNT.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await row(page, "0A3F73").waitFor();
  return { page, context, faults };
}

const row = (page: Page, name: string) => page.getByRole("option", { name: new RegExp(name) });
const visit = (page: Page, hash: string) => page.evaluate((to) => void (location.hash = to), hash);
const chip = (page: Page) => page.locator(".chip-state");
/** Whether a page that was marked is still the same one. */
const marked = (page: Page) => page.evaluate(() => "marked" in window);

describe("a view whose code does not come", () => {
  it("comes by itself when the server is back, without loading the page again", async () => {
    const { page, context, faults } = await visitor();
    await page.evaluate(() => Object.assign(window, { marked: true }));
    await node.stop();
    await visit(page, "#/reports");
    await page.getByText("This view is shown as soon as it does.").waitFor();
    await node.run();
    await page.getByRole("heading", { name: "Reports" }).waitFor();
    expect(await marked(page)).toBe(true);
    expect(faults).toEqual([]);
    await context.close();
  });

  it("is found after an upgrade that has renamed it", async () => {
    const { page, context } = await visitor();
    await page.evaluate(() => Object.assign(window, { marked: true }));
    let upgraded = false;
    await page.route(/\/assets\/reports-/, (route) => (upgraded ? route.continue() : route.fulfill({ status: 404 })));
    await page.route(`${node.url}/`, async (route) => {
      // Who loads the page has the new one; who only looks sees that it is another.
      if (route.request().isNavigationRequest()) {
        upgraded = true;
        return route.continue();
      }
      const text = await (await route.fetch()).text();
      return route.fulfill({
        body: text.replace(/assets\/index-[\w-]+\.js/, "assets/index-other.js"),
        contentType: "text/html",
      });
    });
    await visit(page, "#/reports?kind=stops");
    await page.getByRole("heading", { name: "Reports" }).waitFor();
    expect(await marked(page)).toBe(false);
    expect(page.url()).toContain("#/reports?kind=stops");
    await context.close();
  });

  it("says so when it stays away", async () => {
    const { page, context } = await visitor();
    await page.route(/\/assets\/system-/, (route) => route.fulfill({ status: 404 }));
    await visit(page, "#/system");
    await page.getByText("This view could not be loaded.").waitFor();
    // The other views are there.
    await visit(page, "#/fleet");
    await row(page, "0A3F73").waitFor();
    await context.close();
  });
});

describe("the word Live", () => {
  it("goes when nothing comes from the server, and comes back", async () => {
    const { page, context } = await visitor();
    await page.getByText("Live", { exact: true }).waitFor();
    node.pause();
    await chip(page).getByText("Connection lost").waitFor();
    node.resume();
    await page.getByText("Live", { exact: true }).waitFor();
    await context.close();
  });

  it("goes with the network, at once", async () => {
    const { page, context } = await visitor();
    await page.getByText("Live", { exact: true }).waitFor();
    await context.setOffline(true);
    await chip(page).getByText("Connection lost").waitFor({ timeout: 3_000 });
    await context.setOffline(false);
    await page.getByText("Live", { exact: true }).waitFor();
    await context.close();
  });
});

describe("ages", () => {
  it("are those of the server, whatever the clock of the browser says", async () => {
    const skew = (hours: number) => (page: Page) =>
      page.addInitScript(`{
        const Real = Date, ahead = ${hours} * 3600e3;
        window.Date = class extends Real {
          constructor(...given) { super(...(given.length ? given : [Real.now() + ahead])); }
          static now() { return Real.now() + ahead; }
        };
      }`);
    for (const hours of [3, -3]) {
      const { page, context } = await visitor(skew(hours));
      await node.publish(at(hours > 0 ? 1 : 2, 0));
      const age = await row(page, "0A3F73").locator(".unit-end .unit-sub").innerText();
      expect(age).toMatch(/^\d+ (s|min)$/);
      await page.getByText(/Last update (just now|\d+ s ago)/).waitFor();
      await context.close();
    }
  });

  it("of contact and of position are two things, and old dates bear their year", async () => {
    const { page, context } = await visitor();
    await row(page, "0A3F74")
      .getByText(/position \d+ y old/)
      .waitFor();
    await visit(page, "#/device/0A3F74");
    await page.getByText(/its last position was recorded/).waitFor();
    await page.locator(".old").getByText(/2020/).waitFor();
    await page
      .locator(".fact", { hasText: "Last contact" })
      .getByText(/ago|just now/)
      .waitFor();
    await page.locator(".frames").getByText(/2020/).first().waitFor();
    // Nothing was recorded today: the day of the frame is one click away.
    await page.getByRole("button", { name: /Before: .*2020/ }).click();
    await page.locator(".chart").waitFor();
    expect(page.url()).toContain("day=2020-07-0");
    await context.close();
  });
});

describe("a day that goes on", () => {
  it("shows rows, trips and the route as they come", async () => {
    const { page, context } = await visitor();
    const lastPoint = (): Promise<number | null> =>
      page.evaluate(async () => {
        const { map } = (window as unknown as { nemesesMeasure: Measured }).nemesesMeasure;
        const data = await map?.getSource("route")?.getData();
        return data?.features.at(-1)?.geometry.coordinates.at(-1)?.[1] ?? null;
      });
    await visit(page, "#/device/0A3F73");
    await page.locator(".timeline-stop").getByText("ongoing").waitFor();
    const before = await until("the route is drawn", SOON, lastPoint);
    for (let s = 10; s <= 300; s += 10) await node.publish(at(s, 47));
    await page.locator(".frames").getByText("47 km/h").first().waitFor();
    await page.locator(".timeline-stop").getByText("ongoing").waitFor({ state: "detached" });
    await until("the route goes on", SOON, async () => ((await lastPoint()) ?? before) > before);
    await context.close();
  });

  it("opens a frame without a void below the page", async () => {
    const { page, context } = await visitor();
    const tooHigh = (): Promise<number> =>
      page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
    await visit(page, "#/device/0A3F73");
    await page.locator(".frames li button").first().click();
    await page.getByText("What became of it").waitFor();
    expect(await tooHigh()).toBeLessThanOrEqual(0);
    await visit(page, "#/system");
    await page.getByLabel("Hex digits of a frame").fill(FOUNDING.toString("hex"));
    await page.getByRole("button", { name: "Look up" }).click();
    await page.getByText("stored", { exact: true }).waitFor();
    expect(await tooHigh()).toBeLessThanOrEqual(0);
    await context.close();
  });
});

interface Measured {
  map?: {
    getSource(
      name: string,
    ): { getData(): Promise<{ features: { geometry: { coordinates: [number, number][] } }[] }> } | undefined;
  };
}
