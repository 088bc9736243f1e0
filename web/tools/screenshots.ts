// Pictures of every view, for docs/images and for whoever wants to look at all of
// them after a change: sizes, light and dark, in one go against a running node.
//
//   npx vite-node tools/screenshots.ts -- --url http://127.0.0.1:5000 \
//       --email demo@nemeses.example --password ... [--out FOLDER] [--all] [--only fleet,device]

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import type { BrowserContext, Page } from "playwright-core";

import { launch } from "../tests/flows/browser";

const { values } = parseArgs({
  // vite-node hands its own two arguments on, and `--` or not.
  args: process.argv.slice(2).filter((word) => word !== "--"),
  options: {
    url: { type: "string", default: "http://127.0.0.1:5000" },
    email: { type: "string" },
    password: { type: "string" },
    out: { type: "string", default: "../docs/images" },
    zone: { type: "string", default: "America/Sao_Paulo" },
    locale: { type: "string", default: "en-GB" },
    device: { type: "string" },
    only: { type: "string" },
    all: { type: "boolean", default: false },
  },
});

const SIZES = { phone: [390, 844], tablet: [820, 1180], desk: [1440, 900] } as const;
type Size = keyof typeof SIZES;
type Theme = "light" | "dark";

interface Shot {
  name: string;
  hash: (device: string) => string;
  /** What has to be there, and what to do, before the picture. */
  ready: (page: Page) => Promise<void>;
  signedOut?: boolean;
}

const settled = async (page: Page): Promise<void> => {
  await page.locator(".spinner").first().waitFor({ state: "detached" });
  // The map has no sign of its own that it is drawn; charts are drawn in the next frame.
  await page.waitForTimeout(4000);
};

const SHOTS: Shot[] = [
  { name: "sign-in", hash: () => "", ready: settled, signedOut: true },
  { name: "fleet", hash: () => "#/fleet", ready: settled },
  {
    name: "device",
    hash: (device) => `#/device/${device}`,
    ready: async (page) => {
      await page.locator(".chart canvas").first().waitFor();
      await settled(page);
    },
  },
  {
    name: "replay",
    hash: (device) => `#/replay/${device}?speed=120`,
    ready: async (page) => {
      await page.locator(".scrub").waitFor();
      // Without following, the whole way is in sight.
      await page.locator(".toggle").click();
      await page.locator(".scrub").evaluate((input: HTMLInputElement) => {
        input.value = String(Number(input.min) + (Number(input.max) - Number(input.min)) * 0.62);
        input.dispatchEvent(new Event("input", { bubbles: true }));
      });
      await settled(page);
    },
  },
  { name: "reports", hash: (device) => `#/reports?kind=trips&devices=${device},500003,500005`, ready: settled },
  {
    name: "alarms",
    hash: () => "#/alarms",
    ready: async (page) => {
      await page.locator(".alarm-head").first().waitFor();
      await settled(page);
    },
  },
  {
    name: "geofences",
    hash: () => "#/alarms?tab=fences",
    ready: settled,
  },
  {
    name: "rules",
    hash: () => "#/alarms?tab=rules&edit=new",
    ready: async (page) => {
      await page.locator(".picker input").fill("50000");
      await page.keyboard.press("Enter");
      await page.locator(".trial-bar button").click();
      await settled(page);
    },
  },
  {
    name: "system",
    hash: () => "#/system",
    ready: async (page) => {
      await settled(page);
      // Rates follow from two tellings, which come every five seconds.
      await page.waitForTimeout(9000);
    },
  },
  { name: "admin-devices", hash: () => "#/admin?tab=devices", ready: settled },
  { name: "admin-people", hash: () => "#/admin?tab=people", ready: settled },
  { name: "admin-groups", hash: () => "#/admin?tab=groups", ready: settled },
  { name: "admin-tokens", hash: () => "#/admin?tab=tokens", ready: settled },
  { name: "admin-shares", hash: () => "#/admin?tab=shares", ready: settled },
];

/** One that drives now makes the better picture. */
async function aDevice(token: string): Promise<string> {
  if (values.device) return values.device;
  const answer = await fetch(`${values.url}/api/v1/devices/?limit=100&status=online`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const { devices } = (await answer.json()) as {
    devices: { device_id: string; location: { speed_kmh: number | null } | null }[];
  };
  const moving = devices.find((device) => (device.location?.speed_kmh ?? 0) > 20);
  return (moving ?? devices[0])?.device_id ?? "500000";
}

async function tokenOf(): Promise<string> {
  const answer = await fetch(`${values.url}/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email: values.email, password: values.password }),
  });
  if (!answer.ok) throw new Error(`no sign-in: ${await answer.text()}`);
  return ((await answer.json()) as { token: string }).token;
}

async function signIn(page: Page): Promise<void> {
  await page.goto(values.url);
  await page.locator('input[name="email"]').fill(values.email ?? "");
  await page.locator('input[name="password"]').fill(values.password ?? "");
  await page.locator('button[type="submit"]').click();
  await page.locator(".unit, .empty").first().waitFor();
}

async function take(context: BrowserContext, device: string, size: Size, theme: Theme): Promise<void> {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const path = (name: string): string => join(values.out, values.all ? `${name}-${size}-${theme}.png` : `${name}.png`);
  const only = values.only?.split(",");
  let isIn = false;
  for (const shot of SHOTS) {
    if (only && !only.includes(shot.name)) continue;
    if (!shot.signedOut && !isIn) {
      await signIn(page);
      isIn = true;
    }
    await page.goto(`${values.url}/${shot.hash(device)}`);
    try {
      await shot.ready(page);
    } catch (error) {
      console.warn(`${shot.name} ${size} ${theme}: ${String(error).split("\n")[0]}`);
    }
    await page.screenshot({ path: path(shot.name) });
    console.log(path(shot.name));
  }
  await context.close();
}

mkdirSync(values.out, { recursive: true });
const device = await aDevice(await tokenOf());
const browser = await launch();
const sets: [Size, Theme][] = values.all
  ? (Object.keys(SIZES) as Size[]).flatMap((size): [Size, Theme][] => [
      [size, "light"],
      [size, "dark"],
    ])
  : [["desk", "light"]];
for (const [size, theme] of sets) {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: values.locale,
    timezoneId: values.zone,
  });
  await take(context, device, size, theme);
}
await browser.close();
