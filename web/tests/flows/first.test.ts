// The first start of a server that people reach from elsewhere, which lets nobody
// register, and whose operator has chosen the map of another server.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findings, launch, watch } from "./browser";
import { Node, until } from "./node";

const SOON = 30_000;

let styles: Server;
let host: string;
let answer: { status: number; body: object };
let node: Node;
let browser: Browser;
let page: Page;
let faults: string[];

const style = (more: object = {}): object => ({
  version: 8,
  sources: {},
  layers: [{ id: "paper", type: "background", paint: { "background-color": "#fdf6e3" } }],
  ...more,
});

beforeAll(async () => {
  styles = createServer((_, response) => {
    response.writeHead(answer.status, { "Access-Control-Allow-Origin": "*", "Content-Type": "application/json" });
    response.end(JSON.stringify(answer.body));
  });
  await new Promise<void>((done) => styles.listen(0, "127.0.0.1", done));
  host = `127.0.0.1:${(styles.address() as AddressInfo).port}`;
  answer = { status: 200, body: style() };
  const chosen = ["--map-style", `http://${host}/style.json`, "--map-credit", "Paper maps"];
  [node, browser] = await Promise.all([Node.start(["--registration", "closed", ...chosen]), launch()]);
  page = await (await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 } })).newPage();
  page.setDefaultTimeout(SOON);
  await page.addInitScript("window.nemesesMeasure = { onMap(map) { this.map = map; } }");
  faults = watch(page, node.url, `http://${host}/`);
});

afterAll(async () => {
  await browser?.close();
  await node?.remove();
  styles?.close();
});

/** The layers of the map as it is drawn; empty before. */
const layers = (): Promise<string[]> =>
  page.evaluate(() => {
    const { map } = (window as unknown as { nemesesMeasure: Measured }).nemesesMeasure;
    return map?.getStyle()?.layers.map(({ id }) => id) ?? [];
  });
interface Measured {
  map?: { getStyle(): { layers: { id: string }[] } | undefined };
}

const drawn = (layer: string): Promise<unknown> =>
  until(`the map has ${layer}`, SOON, async () => (await layers()).includes(layer));

describe("the first start", () => {
  it("sends a newcomer to the set-up token", async () => {
    await page.goto(node.url);
    await page.getByRole("button", { name: "New server? Use its set-up token" }).click();
    await page.getByRole("heading", { name: "Set up Nemeses" }).waitFor();
    expect(await findings(page)).toEqual([]);
  });

  it("says what is wrong with a token", async () => {
    await page.getByLabel("Set-up token").fill("bm90IHRoZSB0b2tlbg");
    await page.getByLabel("Name").fill("Ana");
    await page.getByLabel("E-mail address").fill("ana@example.org");
    await page.getByLabel("Password").fill("correct horse battery staple");
    await page.getByRole("button", { name: "Create the administrator" }).click();
    await page.getByRole("alert").getByText("The token is unknown").waitFor();
  });

  it("makes the administrator with the token of the log", async () => {
    const token = /token[="\s:]+([\w-]{20,})/.exec(plain(node.log()))?.[1] ?? "";
    await page.goto(`${node.url}/#/setup?token=${token}`);
    await until(
      "the link has brought the token",
      SOON,
      async () => (await page.getByLabel("Set-up token").inputValue()) === token,
    );
    await page.getByLabel("Name").fill("Ana");
    await page.getByLabel("E-mail address").fill("ana@example.org");
    await page.getByLabel("Password").fill("correct horse battery staple");
    await page.getByRole("button", { name: "Create the administrator" }).click();
    await page.getByRole("link", { name: "System" }).waitFor();
    await page.getByText("No devices yet").waitFor();
    expect(page.url()).not.toContain(token);
    expect(await findings(page)).toEqual([]);
  });

  it("draws the map that the operator has chosen, and says whose it is", async () => {
    await drawn("paper");
    await drawn("devices");
    expect(await layers()).not.toContain("world-land");
    await page.getByText("Paper maps", { exact: true }).waitFor();
  });

  it("draws its own map when that one cannot be had, and says why", async () => {
    for (const [next, why] of [
      [{ status: 503, body: {} }, `The map style of ${host} cannot be loaded (503).`],
      [{ status: 200, body: { tilejson: "2.2.0" } }, `What ${host} returned is not a usable map style`],
      [
        { status: 200, body: style({ glyphs: "https://fonts.example.org/{fontstack}/{range}.pbf" }) },
        `The map style of ${host} also requests fonts.example.org`,
      ],
      [{ status: 200, body: style({ layers: [{ id: "paper", type: "no such type" }] }) }, "is not a usable map style"],
    ] as const) {
      answer = next;
      await page.reload();
      await page.getByRole("status").getByText(why).waitFor();
      await drawn("world-land");
      await page.getByText("Map: Natural Earth", { exact: true }).waitFor();
    }
    expect(await findings(page)).toEqual([]);
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByText("This is the built-in map.").waitFor({ state: "detached" });
  });

  it("asked nobody but its server and that of the style, and broke no rule", () => {
    expect(faults).toEqual([]);
  });
});

/** Without the colours of a terminal. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: These are what is taken out.
  return text.replace(/\u001b\[[0-9;]*m/g, "");
}
