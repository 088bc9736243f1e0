// What people do with the page, against a real node: one visit from the first
// registration to a server that goes away and comes back.

import { readFile } from "node:fs/promises";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findings, launch, watch } from "./browser";
import { drive, frame, Node, noon, until } from "./node";

const EMAIL = "ana@example.org";
const PASSWORD = "correct horse battery staple";
const VAN = 0x0a3f73;
const TRUCK = 0x0a3f74;
const SOON = 30_000;

let node: Node;
let browser: Browser;
let page: Page;
let faults: string[];
let nowS: number;

beforeAll(async () => {
  // Frames of the future are dead letters, until the node is told otherwise.
  [node, browser] = await Promise.all([Node.start(["--future-limit", "1h"]), launch()]);
  nowS = Math.floor(Date.now() / 1000) - 60;
  await node.publish(drive(VAN, nowS, 600));
  await node.publish(
    frame({ device: TRUCK, atS: nowS, latitude: -23.55, longitude: -46.63, speedKmh: 0, ignition: false }),
  );
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId: noon(new Date()),
    viewport: { width: 1280, height: 800 },
  });
  page = await context.newPage();
  page.setDefaultTimeout(SOON);
  await page.addInitScript("window.nemesesMeasure = { onMap(map) { this.map = map; } }");
  faults = watch(page, node.url);
});

afterAll(async () => {
  await browser?.close();
  await node?.remove();
});

const row = (name: string) => page.getByRole("option", { name: new RegExp(name) });
/** How many devices the map was given. */
const onMap = () =>
  page.evaluate(async () => {
    const { map } = (window as unknown as { nemesesMeasure: Measured }).nemesesMeasure;
    const source = map?.getSource("fleet");
    return source ? (await source.getData()).features.length : 0;
  });
interface Measured {
  map?: { getSource(name: string): { getData(): Promise<{ features: unknown[] }> } | undefined };
}

/** As the address says it. */
const zoomSaid = (): number => Number(/[?&]map=([\d.]+)/.exec(page.url())?.[1]);

const visit = (hash: string) => page.evaluate((to) => void (location.hash = to), hash);

describe("the page", () => {
  it("lets the first visitor register and see the fleet", async () => {
    await page.goto(node.url);
    await page.getByRole("button", { name: "New here?" }).click();
    await page.getByLabel("Name").fill("Ana");
    await page.getByLabel("E-mail address").fill(EMAIL);
    await page.getByLabel("Password").fill(PASSWORD);
    expect(await findings(page)).toEqual([]);
    await page.getByRole("button", { name: "Create account" }).click();
    await row("0A3F73").waitFor();
    await row("0A3F74").waitFor();
    await page.locator("canvas.maplibregl-canvas").waitFor();
    await until("both devices are on the map", SOON, async () => (await onMap()) === 2);
    // 600 km apart, and the map looks at just that.
    await until("the map has moved to the fleet", SOON, async () => zoomSaid() > 4);
    expect(await findings(page)).toEqual([]);
  });

  it("shows a device move after a frame was published", async () => {
    await node.publish(frame({ device: VAN, atS: nowS + 30, latitude: -19.85, longitude: -43.93, speedKmh: 87 }));
    await row("0A3F73").getByText("87 km/h").waitFor();
  });

  it("filters by words, and the address says so", async () => {
    await page.getByRole("searchbox").fill("0a3f74");
    await row("0A3F73").waitFor({ state: "detached" });
    expect(page.url()).toContain("q=0a3f74");
    await page.getByRole("searchbox").fill("nothing like it");
    await page.getByRole("button", { name: "Clear filters" }).click();
    await row("0A3F73").waitFor();
  });

  it("opens a device by keyboard and shows its day", async () => {
    await page.getByRole("searchbox").fill("0a3f73");
    await row("0A3F74").waitFor({ state: "detached" });
    await page.getByRole("listbox", { name: "Devices" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "0A3F73" }).waitFor();
    await page.getByText("87 km/h").first().waitFor();
    await page.locator(".timeline-trip").first().waitFor();
    await page.locator(".chart canvas").first().waitFor();
    await page.locator(".frames li button").first().click();
    await page.getByText("What became of it").waitFor();
    // Decoded field by field: the speed is one byte, 57 hex.
    await page.getByRole("row", { name: "22 Speed 57 87 km/h" }).waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("exports what was recorded", async () => {
    const waiting = page.waitForEvent("download");
    await page.getByRole("button", { name: "CSV" }).click();
    const file = await readFile(await (await waiting).path(), "utf8");
    expect(file).toContain("0A3F73");
    expect(file.trim().split("\n").length).toBeGreaterThan(10);
  });

  it("replays by time", async () => {
    await page.getByRole("link", { name: "Replay this day" }).click();
    const play = page.getByRole("button", { name: "Play" });
    await play.waitFor();
    expect(await findings(page)).toEqual([]);
    await page.getByLabel("Speed of replay").selectOption("600");
    const moment = (): Promise<string> => page.locator(".player-time time").first().innerText();
    const before = await moment();
    await play.click();
    await until("the replay moves", SOON, async () => (await moment()) !== before);
  });

  it("reports trips of chosen devices", async () => {
    await visit("#/reports?kind=trips");
    await page.getByRole("combobox", { name: "Add a device" }).fill("0a3f73");
    await page.getByRole("option", { name: "0A3F73" }).click();
    await page.getByRole("cell", { name: "0A3F73" }).first().waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("shows an administrator the books and the fate of a frame", async () => {
    await visit("#/system");
    await page.getByText("Balanced").waitFor();
    const sent = frame({ device: VAN, atS: nowS + 30, latitude: -19.85, longitude: -43.93, speedKmh: 87 });
    await page.getByLabel("Hex digits of a frame").fill(sent.toString("hex"));
    await page.getByRole("button", { name: "Look up" }).click();
    await page.getByText("stored", { exact: true }).waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("shows who works and what could not be stored", async () => {
    const ahead = { device: TRUCK, atS: nowS + 2 * 3600, latitude: -23.5, longitude: -46.6, speedKmh: 5 };
    await node.publish(frame(ahead));
    await page.getByRole("region", { name: "Workers alive" }).getByRole("row", { name: /node@/ }).waitFor();
    const letters = page.getByRole("region", { name: "Dead letters" });
    await until("the dead letter is listed", SOON, async () => {
      await page.getByRole("button", { name: "Refresh" }).last().click();
      return letters.getByRole("row", { name: /future/ }).isVisible();
    });
    await letters.getByRole("button", { name: "Retry" }).click();
    await page.getByText("still not a valid frame; it stays here").waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("adds a device and shows its secret once", async () => {
    await visit("#/admin?tab=devices");
    await page.getByLabel("Device id", { exact: true }).fill("0a3f75");
    await page.getByLabel("Name", { exact: true }).fill("New van");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    const shown = page.locator(".secret");
    await shown.getByText("0A3F75", { exact: true }).waitFor();
    expect(await shown.locator("code").nth(1).innerText()).toMatch(/^\S{16,}$/);
    await page.getByRole("link", { name: "0A3F75" }).waitFor();
    expect(await findings(page)).toEqual([]);
    await shown.getByRole("button", { name: "Close" }).click();
    await shown.waitFor({ state: "detached" });
  });

  it("says what to enter in a device of each protocol", async () => {
    const setup = page.locator(".setup");
    await page.getByLabel("Device id", { exact: true }).fill("0a3f75");
    await setup.getByText("/messenger/0A3F75", { exact: true }).waitFor();
    await setup.getByText(/^mqtt:\/\/127\.0\.0\.1:\d+$/).waitFor();
    await page.getByLabel("Protocol").selectOption("Queclink");
    await setup.getByText("--tcp-listen queclink=ADDRESS:PORT").waitFor();
    await page.getByLabel("Protocol").selectOption("SFT9001");
    expect(await findings(page)).toEqual([]);
  });

  it("keeps what is said of a device", async () => {
    const edit = page.getByRole("button", { name: "Edit 0A3F75" });
    await edit.click();
    await page.getByLabel("Tags").fill("cold, night, cold");
    await page.getByLabel("Moving from, km/h").fill("3");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByLabel("Tags").waitFor({ state: "detached" });
    await edit.click();
    await page.getByLabel("Tags").waitFor();
    expect(await page.getByLabel("Tags").inputValue()).toBe("cold, night");
    expect(await page.getByLabel("Moving from, km/h").inputValue()).toBe("3");
    await page.getByRole("button", { name: "Cancel" }).click();
  });

  it("makes an account that sees what is granted", async () => {
    await visit("#/admin?tab=people");
    await page.getByLabel("Name", { exact: true }).fill("Bob");
    await page.getByLabel("E-mail address").fill("bob@example.org");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.locator(".secret").getByText("bob@example.org").waitFor();
    await page.getByRole("button", { name: "Choose devices" }).click();
    await page.getByRole("combobox", { name: "Add a device" }).fill("0a3f73");
    await page.getByRole("option", { name: "0A3F73" }).click();
    await page.getByRole("button", { name: "Remove 0A3F73" }).waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("keeps the session when the page is loaded again", async () => {
    await page.reload();
    await page.getByRole("button", { name: "Choose devices" }).waitFor();
  });

  it("makes a share link that shows its devices and no other", async () => {
    await visit("#/admin?tab=shares");
    await page.getByLabel("Name").fill("For a customer");
    await page.getByRole("combobox", { name: "Add a device" }).fill("0a3f74");
    await page.getByRole("option", { name: "0A3F74" }).click();
    await page.getByRole("button", { name: "Add", exact: true }).click();
    const link = await page.locator(".secret code").first().innerText();
    expect(await findings(page)).toEqual([]);

    const guest = await (await browser.newContext({ locale: "en-GB" })).newPage();
    guest.setDefaultTimeout(SOON);
    const guestFaults = watch(guest, node.url);
    await guest.goto(link);
    await guest.getByText("For a customer").waitFor();
    await guest.getByRole("option", { name: /0A3F74/ }).waitFor();
    expect(await guest.getByRole("option", { name: /0A3F/ }).count()).toBe(1);
    expect(await guest.getByRole("link", { name: "System" }).count()).toBe(0);
    expect(guestFaults).toEqual([]);
    await guest.context().close();

    page.once("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "Revoke For a customer" }).click();
    await page.getByText("“For a customer” is revoked and no longer works.").waitFor();
    await page.getByText("Nothing here yet.").waitFor();
    expect(await page.locator(".secret").count()).toBe(0);
  });

  it("speaks Portuguese, in the dark, on a telephone", async () => {
    await visit("#/fleet");
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole("button", { name: "Account" }).click();
    await page.getByRole("button", { name: "Dark" }).click();
    await page.getByRole("button", { name: "Português" }).click();
    await page.getByRole("link", { name: "Frota" }).waitFor();
    await row("0A3F73").waitFor();
    expect(await findings(page)).toEqual([]);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide).toBeLessThanOrEqual(390);
  });

  it("says when the server is away and goes on when it is back", async () => {
    await node.stop();
    await page.getByRole("alert").getByText("A conexão com o servidor caiu").waitFor();
    await node.run();
    await page.getByRole("alert").waitFor({ state: "detached" });
    await node.publish(frame({ device: TRUCK, atS: nowS + 40, latitude: -23.5, longitude: -46.6, speedKmh: 43 }));
    await row("0A3F74").getByText("43 km/h").waitFor();
  });

  it("retries a dead letter with a decoder that takes it", async () => {
    await visit("#/system");
    await page.getByRole("button", { name: /^Tentar de novo \d/ }).click();
    await page.getByText("agora é um pacote válido: 1 gravado").waitFor();
    await page.getByText("Nenhum pacote rejeitado.").waitFor();
  });

  it("signs out", async () => {
    await page.getByRole("button", { name: "Conta" }).click();
    await page.getByRole("button", { name: "Sair" }).click();
    await page.getByRole("button", { name: "Entrar" }).waitFor();
    await page.reload();
    await page.getByRole("button", { name: "Entrar" }).waitFor();
  });

  it("asked nobody but its server and broke no rule", () => {
    expect(faults).toEqual([]);
  });
});
