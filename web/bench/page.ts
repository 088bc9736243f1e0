// How quick the live page is, against a node of its own with simulated trackers:
// time from sign-in to the first view, load of the main thread under a stream of
// positions, and time from an MQTT publish to the moved marker. Run by
// `make bench-page`; writes its part of docs/benchmarks.md.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join, resolve } from "node:path";

import type { Browser, CDPSession, Page } from "playwright-core";

import { launch } from "../tests/flows/browser";
import { frame, Node, PROGRAM, until } from "../tests/flows/node";

const ROOT = resolve(new URL(".", import.meta.url).pathname, "../..");
const FEW = 1_000;
const MANY = 10_000;
const UPDATES_PER_S = 1_000;
const WARM_UP_MS = 10_000;
const MEASURE_MS = Number(process.env.PAGE_BENCH_SECONDS ?? 30) * 1000;
const PROBE_EVERY_MS = 250;
const FIRST_VIEW_RUNS = 5;
/** Of a quick person with a password manager. */
const FILLING_MS = 3_000;
/** Alone in the south Atlantic, where no simulated tracker drives and nothing is clustered. */
const PROBE = { device: 0x0abcde, latitude: -28, longitude: -22 };
/** It jumps to and fro by so much, which a marker on a world map shows as some pixels. */
const PROBE_STEP_DEG = 1;
const probeLongitude = (step: number): number => PROBE.longitude + PROBE_STEP_DEG * (step % 2);
const ACCOUNT = { email: "bench@example.org", password: "correct horse battery staple", name: "Bench" };

interface Figure {
  what: string;
  value: string;
  target: string;
  reached: boolean;
  beside: string;
}

const quantile = (values: number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
};

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await answer.json()) as Record<string, unknown>;
}

function simulate(node: Node, devices: number, more: string[]): ChildProcess {
  const args = ["simulate", "--mqtt-url", `mqtt://127.0.0.1:${node.mqtt}`, "--devices", String(devices), ...more];
  return spawn(PROGRAM, args, { stdio: "ignore" });
}

const ended = (child: ChildProcess): Promise<void> => new Promise((done) => child.once("exit", () => done()));

/** Around these the fleet stands, as fleets do: in towns. */
const TOWNS = [
  [-19.92, -43.94],
  [-23.55, -46.63],
  [-22.91, -43.17],
  [-25.43, -49.27],
  [-30.03, -51.23],
  [-15.79, -47.88],
  [-12.97, -38.5],
  [-8.05, -34.9],
  [-3.73, -38.52],
  [-3.12, -60.02],
] as const;
/** Below the door's largest packet, 256 KiB. */
const FRAMES_A_MESSAGE = 5_000;
const FIRST_DEVICE = 0x500000;

/** One frame of each tracker that the simulator will move, so that all are known. */
async function fill(node: Node, devices: number): Promise<void> {
  const atS = Math.floor(Date.now() / 1000) - 60;
  const frames = Array.from({ length: devices }, (_, index) => {
    const [latitude, longitude] = TOWNS[index % TOWNS.length]!;
    const [turn, far] = [index * 2.39996, 0.02 * Math.sqrt(index / TOWNS.length)];
    return frame({
      device: FIRST_DEVICE + index,
      atS,
      latitude: latitude + far * Math.sin(turn),
      longitude: longitude + far * Math.cos(turn),
      speedKmh: index % 90,
    });
  });
  for (let from = 0; from < devices; from += FRAMES_A_MESSAGE) {
    await node.publish(Buffer.concat(frames.slice(from, from + FRAMES_A_MESSAGE)));
  }
  const { token } = await post(`${node.url}/login`, { email: ACCOUNT.email, password: ACCOUNT.password });
  await until(`${devices} devices are known`, 60_000, async () => {
    const answer = await fetch(`${node.url}/api/v1/devices/?limit=1`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const { counts } = (await answer.json()) as { counts: Record<string, number> };
    return Object.values(counts).reduce((sum, count) => sum + count, 0) >= devices;
  });
}

/** What the page tells a measurement: its map, when there is one. See web/src/map/fleet-map.ts. */
const listen = (devices: number): string => `window.nemesesMeasure = {
  drawnMs: null, seen: [],
  onMap(map) {
    const drawn = () => {
      const marks = map.queryRenderedFeatures({ layers: ["devices", "clusters"] });
      const counts = new Map(marks.map(({ properties: of }) => [of.cluster_id ?? of.id, of.point_count ?? 1]));
      return [...counts.values()].reduce((sum, count) => sum + count, 0);
    };
    map.on("render", () => {
      if (!map.getLayer("devices")) return;
      if (this.drawnMs === null && map.isSourceLoaded("fleet") && drawn() >= ${devices} &&
          map.getContainer().checkVisibility({ visibilityProperty: true })) this.drawnMs = Date.now();
      if (this.probe === undefined) return;
      const { latitude, longitude, step, id } = this.probe;
      const wanted = longitude + step * (this.seen.length % 2);
      const hits = map.queryRenderedFeatures(map.project([wanted, latitude]), { layers: ["devices"] });
      const isThere = ({ properties, geometry }) =>
        properties.id === id && Math.abs(geometry.coordinates[0] - wanted) < step / 4;
      if (hits.some(isThere)) this.seen.push(Date.now());
    });
  },
}`;

/** Presses "Sign in" as soon as the form is filled in, or as late as a person does. */
async function signIn(page: Page, node: Node, fillingMs = 0): Promise<number> {
  await page.goto(node.url);
  await page.locator('input[name="email"]').fill(ACCOUNT.email);
  await page.locator('input[name="password"]').fill(ACCOUNT.password);
  await new Promise((done) => setTimeout(done, fillingMs));
  const begun = Date.now();
  await page.locator('button[type="submit"]').click();
  return begun;
}

async function allThere(page: Page, devices: number): Promise<void> {
  // Asked from here: the page's policy forbids to watch it by a script made of text.
  await until(`${devices} devices are drawn`, 60_000, () =>
    page.evaluate((wanted) => {
      const text = document.querySelector(".counter-number")?.textContent ?? "";
      const { drawnMs } = (window as unknown as { nemesesMeasure: { drawnMs: number | null } }).nemesesMeasure;
      return Number(text.replace(/\D/g, "")) >= wanted && drawnMs !== null;
    }, devices),
  );
}

async function newPage(browser: Browser, devices: number): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB" });
  const page = await context.newPage();
  await page.addInitScript(listen(devices));
  return page;
}

/** From the click on "Sign in" until list and markers of all devices are there. */
async function firstView(browser: Browser, node: Node, devices: number, fillingMs: number): Promise<Figure> {
  const times: number[] = [];
  const lists: number[] = [];
  for (let run = 0; run < FIRST_VIEW_RUNS; run += 1) {
    const page = await newPage(browser, devices);
    const begun = await signIn(page, node, fillingMs);
    await page.locator(".unit").first().waitFor();
    lists.push(Date.now() - begun);
    await allThere(page, devices);
    times.push(Date.now() - begun);
    await page.context().close();
  }
  const median = quantile(times, 0.5);
  return {
    what: `First view with ${devices} devices after sign-in${fillingMs ? `, by someone who takes ${fillingMs / 1000} s to fill in the form` : ""}`,
    value: `${(median / 1000).toFixed(2)} s`,
    target: "at most 2 s",
    reached: median <= 2000,
    beside: `markers of all devices drawn, each run with an empty cache: ${times.map((ms) => (ms / 1000).toFixed(2)).join(", ")} s; the list is there after ${(quantile(lists, 0.5) / 1000).toFixed(2)} s${fillingMs ? "" : "; the button is pressed by a program as soon as the page is loaded, while the map is still being made"}`,
  };
}

interface Probed {
  sent: number[];
  seen: number[];
}

const probeFrame = (atS: number, step: number): Buffer =>
  frame({ device: PROBE.device, atS, latitude: PROBE.latitude, longitude: probeLongitude(step), speedKmh: 50 });

async function probe(page: Page, node: Node, forMs: number): Promise<Probed> {
  const sent: number[] = [];
  const to = { ...PROBE, step: PROBE_STEP_DEG, id: PROBE.device.toString(16).padStart(6, "0").toUpperCase() };
  await page.evaluate((told) => {
    Object.assign((window as unknown as { nemesesMeasure: object }).nemesesMeasure, { probe: told, seen: [] });
  }, to);
  const seenOf = () =>
    page.evaluate(() => (window as unknown as { nemesesMeasure: { seen: number[] } }).nemesesMeasure.seen);
  const begun = Date.now();
  // The next step is sent when the last was seen: none is overtaken, none is missed.
  while (Date.now() - begun < forMs) {
    const step = sent.length;
    sent.push(Date.now());
    await node.publish(probeFrame(Math.floor(begun / 1000) - 3600 + step, step));
    await until("the marker moves", 30_000, async () => (await seenOf()).length > step);
    await new Promise((done) => setTimeout(done, PROBE_EVERY_MS * Math.random()));
  }
  return { sent, seen: await seenOf() };
}

interface Busy {
  /** Seconds of processor that the main thread has used. */
  cpu: number;
  /** Seconds during which a task was running or waited for a processor. */
  wall: number;
}

/** The main thread's own time: other programs of the machine do not count as its work. */
async function busySeconds(session: CDPSession): Promise<Busy> {
  const { metrics } = (await session.send("Performance.getMetrics")) as { metrics: { name: string; value: number }[] };
  const of = (wanted: string): number => metrics.find(({ name }) => name === wanted)?.value ?? Number.NaN;
  return { cpu: of("ThreadTime"), wall: of("TaskDuration") };
}

async function underLoad(browser: Browser, node: Node): Promise<Figure[]> {
  // The page knows the probe from its first look, at the place of an odd step.
  await node.publish(probeFrame(Math.floor(Date.now() / 1000) - 7200, 1));
  const page = await newPage(browser, MANY);
  await signIn(page, node);
  await allThere(page, MANY);
  // The probe has to be in sight wherever the fleet is.
  await page.evaluate(() => void (location.hash = "#/fleet?map=2.20/-15.0/-30.0"));
  await page.reload();
  await allThere(page, MANY);
  const load = simulate(node, MANY, ["--rate", String(UPDATES_PER_S), "--client-id-prefix", "load"]);
  try {
    await new Promise((done) => setTimeout(done, WARM_UP_MS));
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    if (process.env.PAGE_BENCH_PROFILE) {
      await session.send("Profiler.enable");
      await session.send("Profiler.start");
    }
    const [begun, busyBefore] = [Date.now(), await busySeconds(session)];
    const { sent, seen } = await probe(page, node, MEASURE_MS);
    const wall = (Date.now() - begun) / 1000;
    const after = await busySeconds(session);
    const busy = (after.cpu - busyBefore.cpu) / wall;
    const held = (after.wall - busyBefore.wall) / wall;
    if (process.env.PAGE_BENCH_PROFILE) {
      const { profile } = await session.send("Profiler.stop");
      writeFileSync(process.env.PAGE_BENCH_PROFILE, JSON.stringify(profile));
    }
    const delays = seen.map((ms, index) => ms - (sent[index] ?? Number.NaN));
    const p95 = quantile(delays, 0.95);
    return [
      {
        what: `Main thread with ${MANY} devices at ${UPDATES_PER_S} updates/s`,
        value: `${Math.round(busy * 100)} % busy`,
        target: "below 50 %",
        reached: busy < 0.5,
        beside: `processor time over ${Math.round(wall)} s, the whole fleet in sight; waiting for a processor included ${Math.round(held * 100)} %`,
      },
      {
        what: "MQTT publish to moved marker, p95, under the same load",
        value: `${Math.round(p95)} ms`,
        target: "below 500 ms",
        reached: p95 < 500,
        beside: `${delays.length} steps: p50 ${Math.round(quantile(delays, 0.5))} ms, p99 ${Math.round(quantile(delays, 0.99))} ms`,
      },
    ];
  } finally {
    load.kill("SIGTERM");
    await ended(load);
    await page.context().close();
  }
}

function scripts(): Figure {
  const folder = join(ROOT, "web/dist/assets");
  // A browser loads the words of one language; those of the other are the larger file.
  const sizes = readdirSync(folder).filter((name) => name.endsWith(".js.gz") && !name.startsWith("en-"));
  const kib = sizes.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) / 1024;
  return {
    what: "JavaScript, compressed, map library and its worker included",
    value: `${Math.round(kib)} KiB`,
    target: "below 500 KiB",
    reached: kib < 500,
    beside: "all parts of the page; each is fetched when it is first needed",
  };
}

const HEADING = "## The live page";

function markdown(figures: Figure[], before: number): string {
  const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: ROOT, encoding: "utf8" }).stdout.trim();
  const rows = figures.map(
    ({ what, value, target, reached, beside }) =>
      `| ${what} | ${value} | ${target} | ${reached ? "yes" : "**no**"} | ${beside} |`,
  );
  return `${HEADING}

Written by \`make bench-page\`: a node with SQLite, the trackers' simulator and headless
Chromium share the machine (${cpus().length} cores; load before the run ${before.toFixed(1)}). There is no
graphics card: WebGL is drawn by software (SwiftShader), on the same cores. A marker
counts as moved when the map has rendered it at its new place. A load above the number
of cores means that other programs ran meanwhile and made all waiting longer. Commit ${commit}.

| what | figure | target | reached | beside |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

/** Takes the place of the part that an earlier run wrote; it is the last of the document. */
function write(text: string): void {
  const path = join(ROOT, "docs/benchmarks.md");
  const whole = readFileSync(path, "utf8");
  const at = whole.indexOf(`\n${HEADING}`);
  const rest = at < 0 ? whole.trimEnd() : whole.slice(0, at).trimEnd();
  writeFileSync(path, `${rest}\n\n${text}`);
}

const before = loadavg()[0] ?? 0;
const node = await Node.start();
// Composed by the same software renderer as WebGL, as a graphics card would do both;
// without one, each picture of the map is copied back, on the main thread.
const browser = await launch(process.env.PAGE_BENCH_COPY ? [] : ["--disable-gpu"]);
try {
  await post(`${node.url}/register/user`, ACCOUNT);
  const figures = [scripts()];
  await fill(node, FEW);
  for (const fillingMs of [0, FILLING_MS]) figures.push(await firstView(browser, node, FEW, fillingMs));
  await fill(node, MANY);
  figures.push(await firstView(browser, node, MANY, FILLING_MS));
  figures.push(...(await underLoad(browser, node)));
  const text = markdown(figures, before);
  console.log(text);
  if (!process.argv.includes("--dry")) write(text);
} finally {
  await browser.close();
  await node.remove();
}
