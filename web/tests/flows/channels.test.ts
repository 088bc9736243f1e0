// What devices report by name, as people see it: cards that move, charts, and a column
// in the list, against a real node.

import { readFile } from "node:fs/promises";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findings, launch, watch } from "./browser";
import { frame, Node, noon, report, until } from "./node";

const BOILER = "id:boiler-3";
const VAN = 0x0a3f73;
const SOON = 30_000;
const MINUTES = 90;

let node: Node;
let browser: Browser;
let page: Page;
let faults: string[];
let nowS: number;

const topic = (device: string): string => `/telemetry/${device}`;
const says = (device: string, values: object): Promise<void> =>
  node.publish(report(Date.now() / 1000, values, { temperature: "Cel" }), topic(device));

beforeAll(async () => {
  [node, browser] = await Promise.all([Node.start(), launch()]);
  nowS = Math.floor(Date.now() / 1000);
  await node.publish(frame({ device: VAN, atS: nowS, latitude: -23.55, longitude: -46.63, speedKmh: 0 }));
  const past = Array.from({ length: MINUTES }, (_, minute) => ({
    t: nowS - (MINUTES - minute) * 60,
    values: { temperature: 20 + (minute % 10), door: minute % 30 < 15, state: "heating", pressure: 3 + minute / 100 },
    units: { temperature: "Cel", pressure: "bar" },
  }));
  await node.publish(Buffer.from(JSON.stringify(past)), topic(BOILER));
  await node.publish(report(nowS, { temperature: 4.5 }, { temperature: "Cel" }), topic("0A3F73"));
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId: noon(new Date()),
    viewport: { width: 1280, height: 800 },
  });
  page = await context.newPage();
  page.setDefaultTimeout(SOON);
  faults = watch(page, node.url);
  await page.goto(node.url);
  await page.getByRole("button", { name: "New here?" }).click();
  await page.getByLabel("Name").fill("Ana");
  await page.getByLabel("E-mail address").fill("ana@example.org");
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("option", { name: /0A3F73/ }).waitFor();
});

afterAll(async () => {
  await browser?.close();
  await node?.remove();
});

const card = (name: string) => page.getByRole("listitem").filter({ hasText: name });
const visit = (hash: string) => page.evaluate((to) => void (location.hash = to), hash);
/** The device as the list has it. */
const row = () => page.locator(".vlist [role=option]").filter({ hasNotText: "0A3F73" });

describe("channels", () => {
  it("stand on the device's page and follow what it says", async () => {
    await row().click();
    await card("temperature").getByText("29 °C").waitFor();
    await card("state").getByText("heating").waitFor();
    await card("door").getByText("Off", { exact: true }).waitFor();
    await page.locator(".channel .spark path[d^=M]").nth(2).waitFor({ state: "attached" });
    await says(BOILER, { temperature: 31.25, state: "off" });
    await card("temperature").getByText("31.25 °C").waitFor();
    await card("state").getByText("off", { exact: true }).waitFor();
    // One that is new.
    await says(BOILER, { humidity: 40 });
    await card("humidity").getByText("40").waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("are drawn over each other, down to every value, and exported", async () => {
    await page.getByRole("link", { name: "Chart of temperature" }).click();
    await page.getByText("Every value as it came.").waitFor();
    const added = page.getByRole("combobox", { name: "Device" });
    await added.fill("0A3F73");
    await page.getByRole("option", { name: /0A3F73/ }).click();
    await page.getByLabel("Channel").selectOption("temperature");
    await page.getByRole("listitem").filter({ hasText: "0A3F73 · temperature" }).getByText("4.5 °C").waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "CSV" }).click(),
    ]);
    const lines = (await readFile((await download.path())!, "utf8")).trim().split("\r\n");
    expect(lines[0]).toMatch(/^time,.*temperature \[Cel\],0A3F73 · temperature \[Cel\]$/);
    expect(lines.length).toBeGreaterThan(MINUTES);
    // A stretch that is drawn is what is shown then; the address says it.
    const box = (await page.locator(".charts .u-over").boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.8, box.y + 100);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 100, { steps: 5 });
    await page.mouse.up();
    await until("the range is in the address", SOON, async () => /from=\d+&to=\d+/.test(page.url()));
    await page.getByRole("button", { name: "Zoom out" }).click();
    await page.getByRole("button", { name: "6 h" }).click();
    await until("it moves again", SOON, async () => !/from=/.test(page.url()));
    expect(await findings(page)).toEqual([]);
    await page.getByRole("button", { name: "Remove 0A3F73 · temperature" }).click();
    await page.getByRole("listitem").filter({ hasText: "temperature" }).waitFor();
  });

  it("are a column of the list, by which it is filtered and sorted", async () => {
    await visit("#/fleet");
    await page.getByLabel("Channel in the list").selectOption("temperature");
    await row().getByText("31.25 °C").waitFor();
    await page
      .getByRole("option", { name: /0A3F73/ })
      .getByText("4.5 °C")
      .waitFor();
    await page.getByLabel("Sort by").selectOption("value");
    await page.getByLabel("Value to compare with").fill("20");
    await until(
      "the van is left out",
      SOON,
      async () => (await page.locator(".vlist").getByRole("option", { name: /4\.5/ }).count()) === 0,
    );
    await page.getByLabel("Compare", { exact: true }).selectOption("under");
    await page.locator(".vlist").getByRole("option", { name: /4\.5/ }).waitFor();
    // It follows what is said.
    await says("0A3F73", { temperature: 25 });
    await until(
      "the van is too warm",
      SOON,
      async () => (await row().count()) === 0 && (await page.getByText("No device matches.").count()) === 1,
    );
    expect(await findings(page)).toEqual([]);
    expect(faults).toEqual([]);
  });
});
