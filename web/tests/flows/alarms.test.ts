// From a drawn geofence to an acknowledged alarm: a fence is drawn on the map, a rule is written
// on it, the device leaves; against a real node.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findings, launch, watch } from "./browser";
import { frame, Node } from "./node";

const VAN = 0x0a3f73;
const DEPOT = { latitude: -23.55, longitude: -46.63 };
const SOON = 30_000;

let node: Node;
let browser: Browser;
let page: Page;
let faults: string[];

/** A frame of now, so many degrees to the north of the depot. */
const publish = (north: number): Promise<void> => {
  const { latitude, longitude } = DEPOT;
  const atS = Math.floor(Date.now() / 1000);
  return node.publish(frame({ device: VAN, atS, latitude: latitude + north, longitude, speedKmh: 30 }));
};
const visit = (hash: string): Promise<void> => page.evaluate((to) => void (location.hash = to), hash);

beforeAll(async () => {
  [node, browser] = await Promise.all([Node.start(), launch()]);
  await publish(0);
  page = await (await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 } })).newPage();
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

describe("alarms", () => {
  it("a geofence is drawn around the device and saved", async () => {
    await page.getByRole("link", { name: /^Alarms/ }).click();
    await page.getByText("No alarm is open").waitFor();
    expect(await findings(page)).toEqual([]);
    await page.getByRole("link", { name: "Geofences" }).click();
    await page.getByText("No geofences yet").waitFor();
    await page.getByRole("button", { name: "New geofence" }).click();
    await page.locator("canvas.maplibregl-canvas").waitFor();
    // The map comes to the only device before anything can be meant by a click.
    await page
      .locator(".maplibregl-ctrl-scale")
      .getByText(/^\d+\s?m$/)
      .waitFor();
    const box = (await page.locator(".map").boundingBox())!;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    for (const [right, down] of [
      [-150, -150],
      [150, -150],
      [150, 150],
      [-150, 150],
    ] as const) {
      await page.mouse.click(x + right, y + down);
    }
    await page.getByText("Corners: 4").waitFor();
    await page.mouse.click(x - 150, y - 150);
    await page.getByText("Drag a corner").waitFor();
    await page.mouse.move(x + 150, y + 150);
    await page.mouse.down();
    await page.mouse.move(x + 200, y + 190, { steps: 4 });
    await page.mouse.up();
    await page.keyboard.press("Control+z");
    await page.getByLabel("Name").fill("Depot");
    expect(await findings(page)).toEqual([]);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: /Depot/ }).waitFor();
    await page.getByRole("button", { name: "Edit" }).waitFor();
  });

  it("a rule is written as a sentence, tried and saved", async () => {
    await page.getByRole("link", { name: "Rules" }).click();
    await page.getByRole("button", { name: "New rule" }).click();
    await page.getByLabel("What is watched").selectOption("left");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByLabel("Geofence", { exact: true }).selectOption({ label: "Depot" });
    await page.getByLabel("Severity").selectOption("critical");
    await page.getByRole("combobox", { name: "Device to try it on" }).fill("0A3F73");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Try", exact: true }).click();
    await page.getByText("would have raised an alarm not once").waitFor();
    expect(await findings(page)).toEqual([]);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("When the device leaves Depot, on all devices.").waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("a wrong condition is shown where it is wrong", async () => {
    await page.getByRole("button", { name: "New rule" }).click();
    await page.getByLabel("What is watched").selectOption("condition");
    await page.getByLabel("Condition", { exact: true }).fill("speed_kmh > ");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText("Column").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
  });

  it("the device leaves, and the alarm is acknowledged", async () => {
    await visit("#/alarms");
    await page.getByText("No alarm is open").waitFor();
    const line = page.getByRole("listitem").filter({ hasText: "The device leaves Depot" });
    // A rule takes effect within a second, and has to see the device inside first.
    const deadline = Date.now() + SOON;
    while ((await line.count()) === 0) {
      if (Date.now() > deadline) throw new Error(`no alarm\n${node.log()}`);
      await publish(0);
      await page.waitForTimeout(1000);
      await publish(0.05);
      await page.waitForTimeout(1000);
    }
    await page.getByRole("link", { name: "1 open alarm that nobody has acknowledged: Critical" }).waitFor();
    await line.getByRole("button").first().click();
    await line.getByLabel("Note").fill("called the driver");
    await line.getByRole("button", { name: "Acknowledge" }).click();
    await line.getByText("called the driver").waitFor();
    await page.getByRole("link", { name: "Alarms: none is waiting" }).waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("the geofence is not deleted while the rule uses it", async () => {
    page.once("dialog", (dialog) => void dialog.accept());
    await visit("#/alarms?tab=fences");
    await page.getByRole("button", { name: /Depot/ }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("alert").getByText("The device leaves Depot").waitFor();
    expect(faults).toEqual([]);
  });
});
