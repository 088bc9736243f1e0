// Every view at three sizes, light and dark: nothing sticks out, every control can be
// reached, and axe-core finds nothing. With `SIZES_PICTURES=FOLDER` it leaves pictures.

import { mkdirSync } from "node:fs";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findings, launch, watch } from "./browser";
import { drive, frame, Node, until } from "./node";

const ACCOUNT = {
  email: "ana@example.org",
  password: "correct horse battery staple",
  name: "Ana Carolina de Albuquerque",
};
const VAN = 0x0a3f73;
const SOON = 30_000;
const SIZES = [
  [390, 844],
  [768, 1024],
  [1280, 800],
] as const;
const SETTLED_WITHIN_MS = 10_000;
const PICTURES = process.env.SIZES_PICTURES;

let node: Node;
let browser: Browser;
let page: Page;
let faults: string[];
let token = "";

async function ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(node.url + path, {
    method,
    headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? {} : ((await answer.json().catch(() => ({}))) as Record<string, unknown>);
}

/** Long names, much of everything, as it comes with the years. */
async function fill(): Promise<void> {
  const nowS = Math.floor(Date.now() / 1000) - 60;
  await node.publish(drive(VAN, nowS - 1200, 900));
  for (let s = 600; s >= 0; s -= 60) {
    await node.publish(
      frame({
        device: VAN,
        atS: nowS - s,
        latitude: -19.815,
        longitude: -43.94,
        speedKmh: 0,
        odometerM: 1_015_000,
        ignition: false,
      }),
    );
  }
  await node.publish(drive(VAN, nowS + 30, 30));
  const minutes = Array.from({ length: 60 }, (_, minute) => ({
    t: nowS - minute * 60,
    values: {
      temperature: 4 + (minute % 7),
      "cpu.usage{core=0,host=gateway-of-the-depot.example.org}": minute,
      door: minute % 9 === 0,
      state: "a text that says at some length what the device is doing just now",
    },
    units: { temperature: "Cel" },
  }));
  await node.publish(Buffer.from(JSON.stringify(minutes)), "/telemetry/0A3F73");
  for (let index = 0; index < 24; index += 1) {
    const place = { latitude: -23.55 + index * 0.07, longitude: -46.63 + index * 0.11 };
    await node.publish(frame({ device: 0x100000 + index, atS: nowS - index * 9, ...place, speedKmh: index * 5 }));
  }
  await node.publish(Buffer.from("no frame at all"));
  await ask("POST", "/register/user", ACCOUNT);
  token = String((await ask("POST", "/login", ACCOUNT_LOGIN)).token);
  const longName = "Caminhão frigorífico 12 da filial de São José dos Campos, turno da noite";
  await ask("PUT", "/api/v1/devices/0A3F73/", {
    name: longName,
    vehicle: "Volkswagen Constellation 24.280",
    tags: ["frio", "noite"],
  });
  for (const name of ["Norte", "Distribuição urbana de São José dos Campos e Taubaté"]) {
    const { group_id } = await ask("POST", "/api/v1/groups/", { name });
    await ask("PUT", `/api/v1/groups/${String(group_id)}/devices/0A3F73/`);
  }
  await ask("POST", "/api/v1/users/", {
    email: "maria.fernanda.dos.santos@transportadora.example.org",
    name: "Maria Fernanda dos Santos Albuquerque",
    role: "viewer",
  });
  await ask("POST", "/api/v1/shares/", { name: "For a customer with a long name", device_ids: ["0A3F73"] });
  await raiseAlarm();
  await ask("POST", "/api/v1/tokens/", { name: "Report of the night", device_ids: ["0A3F73"], scopes: ["read"] });
}
/** A geofence, a rule, and a device that it raises an alarm for. */
async function raiseAlarm(): Promise<void> {
  await ask("POST", "/api/v1/geofences/", {
    name: "Pátio da transportadora na entrada de São José dos Campos, portão dos fundos",
    area: { type: "Point", coordinates: [-45.9, -23.2], radius_m: 400 },
  });
  await ask("POST", "/api/v1/rules/", {
    name: "Too fast for the yard and for the streets around it, by day and by night",
    severity: "critical",
    rule: { test: { kind: "overspeed", limit_kmh: 20 } },
  });
  await until("an alarm is raised", SOON, async () => {
    const atS = Math.floor(Date.now() / 1000);
    await node.publish(frame({ device: 0x100002, atS, latitude: -23.41, longitude: -46.41, speedKmh: 90 }));
    return ((await ask("GET", "/api/v1/alarms/?open=true")).alarms as unknown[]).length > 0;
  });
}
const ACCOUNT_LOGIN = { email: ACCOUNT.email, password: ACCOUNT.password };

beforeAll(async () => {
  [node, browser] = await Promise.all([Node.start(), launch()]);
  await fill();
  page = await (
    await browser.newContext({ locale: "en-GB", reducedMotion: "reduce", viewport: { width: 1280, height: 800 } })
  ).newPage();
  page.setDefaultTimeout(SOON);
  faults = watch(page, node.url);
  await page.goto(node.url);
  if (PICTURES) mkdirSync(PICTURES, { recursive: true });
});

afterAll(async () => {
  await browser?.close();
  await node?.remove();
});

/** What sticks out of the page, or of what scrolls, or is covered; in words. */
const stickingOut = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = [];
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > wide)
      found.push(`the page is ${document.documentElement.scrollWidth} wide`);
    const isSeen = (element: Element): boolean =>
      element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    const scrolls = (element: Element): boolean => /auto|scroll/.test(getComputedStyle(element).overflowX);
    for (const control of document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")) {
      const box = control.getBoundingClientRect();
      // What is for readers of the screen alone has no size.
      if (!isSeen(control) || box.width < 2 || control.closest(".skip, .hidden")) continue;
      let within: Element | null = control.parentElement;
      while (within && !scrolls(within)) within = within.parentElement;
      if (within) continue;
      if (box.left < -1 || box.right > wide + 1) {
        found.push(
          `${control.outerHTML.slice(0, 90)} reaches from ${Math.round(box.left)} to ${Math.round(box.right)}`,
        );
      }
    }
    // A panel scrolls up and down; a table alone scrolls to the side.
    for (const box of document.querySelectorAll("*")) {
      const { scrollWidth, clientWidth } = box;
      if (scrollWidth <= clientWidth + 1 || !scrolls(box) || !isSeen(box) || box.matches(".table-scroll")) continue;
      found.push(`${box.tagName} .${box.className} is ${clientWidth} wide and holds ${scrollWidth}`);
    }
    return found;
  });

/** The same after the page has taken its new size: what stays out is out. */
async function settledOut(of: Page): Promise<string[]> {
  const deadline = Date.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const found = await stickingOut(of);
    if (found.length === 0 || Date.now() > deadline) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function wear(theme: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ colorScheme: theme });
  await until(`it is ${theme}`, SOON, () =>
    page.evaluate(async (wanted) => {
      if (document.documentElement.dataset.theme !== wanted) return false;
      // Colours change over a moment, which begins with the next frame.
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const moving = document.getAnimations().filter(({ effect }) => effect?.getTiming().iterations === 1);
      return moving.every(({ playState }) => playState === "finished");
    }, theme),
  );
}

/** Looks at what is shown at every size in both appearances. */
async function look(name: string): Promise<void> {
  const found: string[] = [];
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    for (const theme of ["light", "dark"] as const) {
      await wear(theme);
      const here = [...(await settledOut(page)), ...(await findings(page))];
      found.push(...here.map((what) => `${name} at ${width} px, ${theme}: ${what}`));
      if (PICTURES) {
        await page.waitForTimeout(1500);
        await page.screenshot({ path: `${PICTURES}/${name}-${width}-${theme}.png` });
      }
    }
  }
  expect(found).toEqual([]);
}

/** Every view, and words that stand on it. */
const IN_PORTUGUESE = [
  ["#/fleet", "Nunca visto"],
  ["#/device/0A3F73", "Viagens e paradas"],
  ["#/replay/0A3F73", "Seguir"],
  ["#/charts?s=0A3F73/temperature", "Todos os valores"],
  ["#/reports?kind=summary&devices=0A3F73", "Em movimento"],
  ["#/alarms", "Informativo"],
  ["#/alarms?tab=rules", "Nova regra"],
  ["#/alarms?tab=rules&edit=new", "por pelo menos"],
  ["#/alarms?tab=fences", "Nova cerca"],
  ["#/alarms?tab=fences&edit=new", "Polígono"],
  ["#/system", "Processos ativos"],
  ["#/admin?tab=devices", "Adicionar dispositivo"],
  ["#/admin?tab=groups", "Norte"],
  ["#/admin?tab=people", "Adicionar usuário"],
  ["#/admin?tab=shares", "Novo link de compartilhamento"],
  ["#/admin?tab=tokens", "Novo token"],
] as const;

const visit = async (hash: string): Promise<void> => {
  await page.evaluate((to) => void (location.hash = to), hash);
};
const gone = (selector: string): Promise<void> => page.locator(selector).first().waitFor({ state: "detached" });

describe("every view at three sizes, light and dark", { timeout: 180_000 }, () => {
  it("sign in", () => look("sign-in"));

  it("set up", async () => {
    await visit("#/setup");
    await page.getByLabel("Set-up token").waitFor();
    await look("setup");
  });

  it("fleet", async () => {
    await page.getByRole("button", { name: "Already have an account?" }).click();
    await page.getByLabel("E-mail address").fill(ACCOUNT.email);
    await page.getByLabel("Password").fill(ACCOUNT.password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("option", { name: /0A3F73/ }).waitFor();
    await page.locator("canvas.maplibregl-canvas").waitFor();
    await look("fleet");
  });

  it("fleet without a match, with the menu and the legend open", async () => {
    await visit("#/fleet?q=nothing+like+it&status=late");
    await page.getByRole("button", { name: "Clear filters" }).waitFor();
    await page.getByText("Legend").click();
    await page.getByRole("button", { name: "Account" }).click();
    await look("fleet-empty");
    await page.keyboard.press("Escape");
    await gone(".menu-card");
    await page.getByText("Legend").click();
    await gone(".legend[open]");
  });

  it("device", async () => {
    await visit("#/device/0A3F73");
    await page.locator(".chart canvas").first().waitFor();
    await page.locator(".frames li button").first().click();
    await page.getByText("What became of it").waitFor();
    await look("device");
  });

  it("charts", async () => {
    await visit("#/charts");
    await page.getByText("Nothing is drawn yet").waitFor();
    await look("charts-empty");
    const lines = ["temperature", "door", "cpu.usage{core=0,host=gateway-of-the-depot.example.org}"];
    const line = (channel: string): string => `0A3F73/${encodeURIComponent(channel)}`;
    await visit(`#/charts?s=${encodeURIComponent(lines.map(line).join(","))}`);
    await page.locator(".chart canvas").first().waitFor();
    await look("charts");
    await visit("#/fleet?ch=temperature&cmp=over&cmpv=3&sort=value");
    await page.locator(".unit-value").first().waitFor();
    await look("fleet-channel");
  });

  it("replay", async () => {
    await visit("#/replay/0A3F73");
    await page.getByRole("button", { name: "Play" }).waitFor();
    await look("replay");
  });

  it("replay goes from stop to stop by keyboard", async () => {
    const moment = (): Promise<string | null> => page.getByRole("slider").getAttribute("aria-valuetext");
    const pressed = async (name: string, key: string): Promise<string | null> => {
      const before = await moment();
      await page
        .getByRole(name === "slider" ? "slider" : "button", name === "slider" ? {} : { name })
        .first()
        .focus();
      await page.keyboard.press(key);
      await until(`${key} on ${name} moves the replay`, SOON, async () => (await moment()) !== before);
      return moment();
    };
    const start = await moment();
    const stop = await pressed("Next stop", "Enter");
    expect(await page.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed")).toBe("true");
    expect(await pressed("slider", "End")).not.toBe(stop);
    expect(await pressed("slider", "Home")).toBe(start);
    await page.locator(".stops-list button").first().focus();
    await page.keyboard.press("Enter");
    await until("the list of stops leads to the stop", SOON, async () => (await moment()) === stop);
    await page
      .locator(".readout")
      .getByText(/^Stopped/)
      .waitFor();
    await page.getByLabel("Speed of replay").selectOption("600");
    await pressed("Play", "Space");
  });

  for (const kind of ["trips", "stops", "summary", "events"]) {
    it(`reports: ${kind}`, async () => {
      await visit(`#/reports?kind=${kind}&devices=0A3F73,100003,100004`);
      await page.getByRole("table").waitFor();
      await look(`reports-${kind}`);
    });
  }

  it("reports before anything is chosen", async () => {
    await visit("#/reports");
    await page.getByText("Choose at least one device.").waitFor();
    await look("reports-empty");
  });

  it("alarms", async () => {
    await visit("#/alarms");
    await page.getByRole("button", { name: /Too fast/ }).click();
    await page.getByRole("button", { name: "Acknowledge" }).waitFor();
    await look("alarms");
  });

  for (const [name, tab, there] of [
    ["fences", "fences", "Pátio"],
    ["fence-new", "fences&edit=new", "Corridor"],
    ["rules", "rules", "When the speed is above"],
    ["rule-new", "rules&edit=new", "raise an alarm"],
  ] as const) {
    it(`alarms: ${name}`, async () => {
      await visit(`#/alarms?tab=${tab}`);
      await page.getByText(there).first().waitFor();
      await gone(".spinner");
      await look(`alarms-${name}`);
    });
  }

  it("system", async () => {
    await visit("#/system");
    await page.getByText("Balanced").waitFor();
    await page.getByRole("region", { name: "Workers alive" }).getByRole("row", { name: /node@/ }).waitFor();
    await page.getByRole("button", { name: /^Retry \d/ }).waitFor();
    await look("system");
  });

  it("manage devices", async () => {
    await visit("#/admin?tab=devices");
    await page.getByRole("button", { name: "Edit 0A3F73" }).click();
    await page.getByLabel("Tags").waitFor();
    await look("admin-devices");
  });

  for (const tab of ["groups", "people", "shares", "tokens"]) {
    it(`manage ${tab}`, async () => {
      await visit(`#/admin?tab=${tab}`);
      await gone(".spinner");
      await page
        .getByText(/Norte|Maria Fernanda|For a customer|Report of the night/)
        .first()
        .waitFor();
      await look(`admin-${tab}`);
    });
  }

  it("nothing sticks out in Portuguese on a telephone", async () => {
    const context = await browser.newContext({ locale: "pt-BR", viewport: { width: 390, height: 844 } });
    const phone = await context.newPage();
    phone.setDefaultTimeout(SOON);
    await phone.goto(node.url);
    await phone.getByLabel("E-mail").fill(ACCOUNT.email);
    await phone.getByLabel("Senha").fill(ACCOUNT.password);
    await phone.getByRole("button", { name: "Entrar", exact: true }).click();
    await phone.getByRole("option", { name: /0A3F73/ }).waitFor();
    const found: string[] = [];
    for (const [hash, there] of IN_PORTUGUESE) {
      await phone.evaluate((to) => void (location.hash = to), hash);
      await phone.getByText(there).first().waitFor();
      await phone.locator(".spinner").first().waitFor({ state: "detached" });
      found.push(...(await settledOut(phone)).map((what) => `${hash}: ${what}`));
      if (PICTURES) await phone.screenshot({ path: `${PICTURES}/pt-${hash.replace(/\W/g, "")}.png` });
    }
    await context.close();
    expect(found).toEqual([]);
  });

  it("asked nobody but its server and broke no rule", () => {
    expect(faults).toEqual([]);
  });
});
