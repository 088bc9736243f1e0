// Commands on the device's page: typed, waiting, given to a device, withdrawn; against a real node.

import { spawn } from "node:child_process";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findings, launch, watch } from "./browser";
import { frame, Node } from "./node";

const VAN = 0x0a3f73;
const SOON = 30_000;

let node: Node;
let browser: Browser;
let page: Page;
let faults: string[];

/** What the device is given while it listens for two seconds, which it acknowledges. */
function received(): Promise<string> {
  const args = ["-h", "127.0.0.1", "-p", String(node.mqtt), "-i", "van", "-q", "1", "-t", "/command/0A3F73", "-W", "2"];
  const client = spawn("mosquitto_sub", args, { stdio: ["ignore", "pipe", "inherit"] });
  let bytes = "";
  client.stdout.on("data", (data) => {
    bytes += data;
  });
  return new Promise((done, failed) => {
    client.once("error", failed);
    client.once("exit", () => done(bytes.trim()));
  });
}

beforeAll(async () => {
  [node, browser] = await Promise.all([Node.start(), launch()]);
  const atS = Math.floor(Date.now() / 1000);
  await node.publish(frame({ device: VAN, atS, latitude: -23.55, longitude: -46.63, speedKmh: 0 }));
  page = await (await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 } })).newPage();
  page.setDefaultTimeout(SOON);
  faults = watch(page, node.url);
  await page.goto(node.url);
  await page.getByRole("button", { name: "New here?" }).click();
  await page.getByLabel("Name").fill("Ana");
  await page.getByLabel("E-mail address").fill("ana@example.org");
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("option", { name: /0A3F73/ }).click();
});

afterAll(async () => {
  await browser?.close();
  await node?.remove();
});

const section = () => page.getByRole("region", { name: "Commands" });
const line = (text: string) => section().getByRole("listitem").filter({ hasText: text });
async function send(text: string, as: "Text" | "Hex"): Promise<void> {
  await section().getByLabel("Typed as").selectOption(as);
  await section().getByLabel("Command", { exact: true }).fill(text);
  await section().getByRole("button", { name: "Send" }).click();
}

describe("commands", () => {
  it("say what is wrong with what was typed", async () => {
    await send("0A 0", "Hex");
    await section().getByRole("alert").getByText("Hex digits come in pairs").waitFor();
    expect(await section().getByRole("listitem").count()).toBe(0);
  });

  it("wait for a device that is away, and are given to it once", async () => {
    await send("getinfo", "Text");
    await section().getByRole("status").getByText("when the device connects").waitFor();
    await line("getinfo").getByText("Queued").waitFor();
    await line("getinfo").getByText("ana@example.org").waitFor();
    expect(await findings(page)).toEqual([]);
    expect(await received()).toBe("getinfo");
    await line("getinfo").getByText("Answered", { exact: true }).waitFor();
    expect(await line("getinfo").getByRole("button", { name: "Withdraw" }).count()).toBe(0);
  });

  it("are withdrawn while they wait", async () => {
    await send("0a01ff", "Hex");
    await line("0a 01 ff").getByRole("button", { name: "Withdraw 0a 01 ff" }).click();
    await line("0a 01 ff").getByText("withdrawn").waitFor();
    await line("0a 01 ff").getByText("Failed", { exact: true }).waitFor();
  });

  it("are not shown to who may only look", async () => {
    const headers = { Authorization: `Bearer ${await token()}` };
    const made = await fetch(`${node.url}/api/v1/shares/`, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ name: "customer", device_ids: ["0A3F73"] }),
    });
    const { url } = (await made.json()) as { url: string };
    const guest = await (await browser.newContext({ locale: "en-GB" })).newPage();
    await guest.goto(`${node.url}${url}`);
    await guest.getByRole("option", { name: /0A3F73/ }).click();
    await guest.getByText("Last contact").first().waitFor();
    expect(await guest.getByRole("region", { name: "Commands" }).count()).toBe(0);
    expect(faults).toEqual([]);
  });
});

async function token(): Promise<string> {
  const answer = await fetch(`${node.url}/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email: "ana@example.org", password: "correct horse battery staple" }),
  });
  return ((await answer.json()) as { token: string }).token;
}
