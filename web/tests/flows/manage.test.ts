// What people hand out, look for, sort, print and change, and how they come back from it.

import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findings, launch, watch } from "./browser";
import { drive, frame, Node, noon, until } from "./node";

const ACCOUNT = { email: "ana@example.org", password: "correct horse battery staple", name: "Ana" };
const NEXT_PASSWORD = "another battery staple of hers";
const VAN = 0x0a3f73;
const SOON = 30_000;
const TRIPS = 130;

let node: Node;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let faults: string[];
let nowS: number;

beforeAll(async () => {
  [node, browser] = await Promise.all([Node.start(), launch()]);
  nowS = Math.floor(Date.now() / 1000) - 60;
  await node.publish(drive(VAN, nowS, 600));
  await node.publish(drive(VAN, nowS - 2 * 86_400, 900));
  // Hundreds of events: more rows than a page of a report has.
  for (let s = 0; s < TRIPS; s += 1) {
    await node.publish(
      frame({
        device: 0x0a3f74,
        atS: nowS - 40_000 + s * 60,
        latitude: -23.55,
        longitude: -46.63,
        speedKmh: 0,
        ignition: s % 2 === 0,
      }),
    );
  }
  await ask("POST", "/register/user", ACCOUNT);
  const { token } = await ask("POST", "/login", { email: ACCOUNT.email, password: ACCOUNT.password });
  await ask(
    "PUT",
    "/api/v1/devices/0A3F73/",
    { name: "Caminhão São João", vehicle: "ABC-1D23", tags: ["frio"] },
    String(token),
  );
  context = await browser.newContext({
    locale: "en-GB",
    timezoneId: noon(new Date()),
    viewport: { width: 1280, height: 800 },
  });
  page = await context.newPage();
  page.setDefaultTimeout(SOON);
  await page.addInitScript("window.nemesesMeasure = { onMap(map) { this.map = map; } }");
  faults = watch(page, node.url);
  await page.goto(node.url);
  await signIn(page, ACCOUNT.password);
  await row("São João").waitFor();
});

afterAll(async () => {
  await browser?.close();
  await node?.remove();
});

async function ask(method: string, path: string, body: unknown, token = ""): Promise<Record<string, unknown>> {
  const answer = await fetch(node.url + path, {
    method,
    headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? {} : ((await answer.json().catch(() => ({}))) as Record<string, unknown>);
}

async function signIn(on: Page, password: string): Promise<void> {
  // The view that was left has a field of the same name.
  await on.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  await on.getByLabel("E-mail address").fill(ACCOUNT.email);
  await on.getByLabel("Password").fill(password);
  await on.getByRole("button", { name: "Sign in", exact: true }).click();
}

const row = (name: string) => page.getByRole("option", { name: new RegExp(name) });
const visit = (hash: string) => page.evaluate((to) => void (location.hash = to), hash);
const dialog = (accept: boolean): Promise<string> =>
  new Promise((done) =>
    page.once("dialog", (shown) => {
      done(shown.message());
      void (accept ? shown.accept() : shown.dismiss());
    }),
  );

describe("looking for a device", () => {
  it("needs no accents and no hyphen", async () => {
    for (const text of ["sao joao", "abc1d23", "frio"]) {
      await page.getByRole("searchbox").fill(text);
      await row("0A3F74").waitFor({ state: "detached" });
      await row("São João").waitFor();
    }
  });

  it("leads there and back by keyboard, and the list is as it was", async () => {
    await page.getByRole("listbox", { name: "Devices" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Caminhão São João" }).waitFor();
    // The focus is in the view, not lost with the list.
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("content");
    await page.keyboard.press("Escape");
    await page.getByRole("listbox", { name: "Devices" }).waitFor();
    expect(await page.getByRole("searchbox").inputValue()).toBe("frio");
    expect(await page.evaluate(() => document.activeElement?.className)).toContain("vlist");
    await page.locator(".vlist-row.is-active").getByText("São João").waitFor();
    await page.getByRole("searchbox").fill("");
  });
});

describe("a report", () => {
  it("has all its rows, in an order, with totals, and leads on", async () => {
    await visit("#/reports?kind=events&devices=0A3F74,0A3F73&from=2020-01-01T00:00&to=2099-01-01T00:00");
    const count = page.locator(".result-bar [role=status]");
    await count.getByText(/1 to 100 shown/).waitFor();
    const cells = page.locator(".report-table tbody tr");
    expect(await cells.count()).toBe(100);
    await page.getByRole("button", { name: "Last", exact: true }).click();
    await count.getByText(/101 to/).waitFor();
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByRole("columnheader", { name: "Start" }).and(page.locator("[aria-sort=ascending]")).waitFor();
    expect(page.url()).toContain("sort=start");

    await visit("#/reports?kind=trips&devices=0A3F73&from=2020-01-01T00:00&to=2099-01-01T00:00&sort=-distance_m");
    await page.getByRole("rowheader", { name: "Total" }).waitFor();
    expect(await findings(page)).toEqual([]);
    await page
      .getByRole("link", { name: /^Replay: Caminhão/ })
      .first()
      .click();
    await page.getByRole("button", { name: "Play" }).waitFor();
    await page.goBack();
    await page
      .getByRole("link", { name: /^On the map: Caminhão/ })
      .first()
      .click();
    await page.locator(".chart canvas").first().waitFor();
    expect(page.url()).toMatch(/day=\d{4}-\d\d-\d\d&at=\d+/);
  });

  it("prints every row and nothing of the page around it", async () => {
    await visit("#/reports?kind=events&devices=0A3F74,0A3F73&from=2020-01-01T00:00&to=2099-01-01T00:00");
    await page.locator(".report-table tbody tr").first().waitFor();
    await page.emulateMedia({ media: "print" });
    await page.evaluate(() => window.dispatchEvent(new Event("beforeprint")));
    expect(await page.locator(".report-table tbody tr").count()).toBeGreaterThan(100);
    await page.locator(".print-only h1").getByText("Events").waitFor();
    for (const gone of [".bar", ".report-form", ".pager", ".ways"]) {
      expect(await page.locator(gone).first().isVisible(), gone).toBe(false);
    }
    await page.evaluate(() => window.dispatchEvent(new Event("afterprint")));
    await page.emulateMedia({ media: null });
    expect(await page.locator(".report-table tbody tr").count()).toBe(100);
  });
});

describe("a share link", () => {
  async function share(name: string, choose: () => Promise<void>): Promise<string> {
    await visit("#/admin?tab=shares");
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Valid for").selectOption("168");
    await page.getByRole("combobox", { name: "Add a device" }).fill("0a3f73");
    await page.getByRole("option", { name: "São João" }).click();
    await choose();
    // A device that was added has not undone the choice before it.
    expect(await page.getByLabel("Valid for").inputValue()).toBe("168");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("row", { name: new RegExp(name) }).waitFor();
    return page.locator(".secret code").first().innerText();
  }
  async function guest(link: string): Promise<Page> {
    const there = await (await browser.newContext({ locale: "en-GB", timezoneId: noon(new Date()) })).newPage();
    there.setDefaultTimeout(SOON);
    await there.goto(link);
    await there.getByRole("option", { name: /São João/ }).click();
    await there.locator(".facts").waitFor();
    return there;
  }

  it("shows the present alone, until it is made to show more", async () => {
    const link = await share("Live only", async () => undefined);
    await page.getByRole("cell", { name: "Only where the devices are now" }).waitFor();
    expect(await findings(page)).toEqual([]);
    const there = await guest(link);
    await there.locator(".shared").getByText("where the devices are now").waitFor();
    expect(await there.locator(".day-bar, .frames, .timeline").count()).toBe(0);
    expect(await there.locator(".fact").getByText("Odometer").count()).toBe(0);
    // The server keeps to it, whoever asks.
    const refused = await there.evaluate(async (secret) => {
      const headers = { "Content-Type": "application/json" };
      const opened = await fetch("/share/open", { method: "POST", headers, body: JSON.stringify({ token: secret }) });
      const { token } = (await opened.json()) as { token: string };
      return (await fetch("/api/v1/report/trips?device_id=0A3F73", { headers: { Authorization: `Bearer ${token}` } }))
        .status;
    }, link.split("share=")[1]);
    expect(refused).toBe(403);

    expect(await dialogOn(async () => page.getByRole("button", { name: "Revoke Live only" }).click(), false)).toContain(
      "Live only",
    );
    await page.getByRole("row", { name: /Live only/ }).waitFor();
    await dialogOn(async () => page.getByRole("button", { name: "Revoke Live only" }).click(), true);
    await page.getByText("“Live only” is revoked and no longer works.").waitFor();
    expect(await page.locator(".secret").count()).toBe(0);
    await there.getByText("This link no longer works.").waitFor();
    await there.context().close();
  });

  it("shows what was recorded from the chosen moment on, and its replay", async () => {
    const link = await share("With the day", () => page.getByLabel("Now, and what was recorded").check());
    const there = await guest(link);
    await there.locator(".shared").getByText("with what was recorded since").waitFor();
    await there.locator(".timeline").waitFor();
    await there.getByRole("link", { name: "Replay this day" }).click();
    await there.getByRole("button", { name: "Play" }).waitFor();
    await there.context().close();
  });
});

async function dialogOn(work: () => Promise<void>, accept: boolean): Promise<string> {
  const asked = dialog(accept);
  await work();
  return asked;
}

describe("accounts", () => {
  it("ask before they take rights away or give them", async () => {
    await visit("#/admin?tab=people");
    await page.getByLabel("Name", { exact: true }).fill("Bob");
    await page.getByLabel("E-mail address").fill("bob@example.org");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    const role = page.getByLabel("Role Bob");
    expect(await dialogOn(async () => void (await role.selectOption("admin")), false)).toContain("Bob");
    expect(await role.inputValue()).toBe("viewer");
    await dialogOn(async () => void (await role.selectOption("operator")), true);
    await until("the role is changed", SOON, async () => (await role.inputValue()) === "operator");
    expect(await dialogOn(async () => page.getByRole("button", { name: "Disable" }).click(), false)).toContain("Bob");
    await page.getByRole("button", { name: "Disable" }).waitFor();
  });

  it("change their own password", async () => {
    await page.getByRole("button", { name: "Account" }).click();
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByLabel("Current password").fill("not the right one at all");
    await page.getByLabel("New password", { exact: true }).fill(NEXT_PASSWORD);
    await page.getByLabel("Repeat the new password").fill(NEXT_PASSWORD);
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await page.getByRole("alert").getByText("That is not your current password.").waitFor();
    await page.getByLabel("Current password").fill(ACCOUNT.password);
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await page.getByText("Your password is changed.").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, NEXT_PASSWORD);
    await page.getByRole("link", { name: "System" }).waitFor();
  });
});

describe("the map", () => {
  it("leads from a stop to its row", async () => {
    await node.publish(drive(VAN, nowS - 86_400 - 1_200, 300));
    for (let s = 1_160; s >= 0; s -= 40) {
      await node.publish(
        frame({
          device: VAN,
          atS: nowS - 86_400 - s,
          latitude: -19.905,
          longitude: -43.94,
          speedKmh: 0,
          ignition: false,
        }),
      );
    }
    const day = new Date((nowS - 86_400) * 1000);
    const local = await page.evaluate((ms) => {
      const at = new Date(ms);
      const two = (value: number): string => String(value).padStart(2, "0");
      return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    }, day.getTime());
    await visit(`#/device/0A3F73?day=${local}`);
    await page.locator(".timeline-stop").first().waitFor();
    const spot = await until("the stop is drawn", SOON, () =>
      page.evaluate(() => {
        const { map } = (window as unknown as { nemesesMeasure: Measured }).nemesesMeasure;
        const found = map?.queryRenderedFeatures({ layers: ["stops"] })[0];
        if (!map || !found || map.isMoving()) return null;
        const { x, y } = map.project(found.geometry.coordinates);
        const box = map.getCanvas().getBoundingClientRect();
        return { x: box.left + x, y: box.top + y };
      }),
    );
    await page.mouse.click(spot.x, spot.y);
    await page.locator(".timeline-stop .is-picked").waitFor();
  });

  it("broke no rule", () => expect(faults).toEqual([]));
});

interface Measured {
  map?: {
    isMoving(): boolean;
    getCanvas(): HTMLCanvasElement;
    project(at: [number, number]): { x: number; y: number };
    queryRenderedFeatures(options: object): { geometry: { coordinates: [number, number] } }[];
  };
}
