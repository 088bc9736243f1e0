// First view: sign-in -> markers drawn, with dist served by the proxy.
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Page } from "playwright-core";
import { launch } from "../tests/flows/browser";
import { Node, frame, until } from "../tests/flows/node";
import { proxy } from "./proxy";
const RUNS = Number(process.env.RUNS ?? 5);
const PAUSE = Number(process.env.PAUSE ?? 0);
const TRACE = process.env.TRACE;
const ACCOUNT = { email: "bench@example.org", password: "correct horse battery staple", name: "Bench" };
const TOWNS = [[-19.92, -43.94], [-23.55, -46.63], [-22.91, -43.17], [-25.43, -49.27], [-30.03, -51.23],[-15.79, -47.88], [-12.97, -38.5], [-8.05, -34.9], [-3.73, -38.52], [-3.12, -60.02]] as const;
const node = await Node.start();
const p = await proxy(node.http, process.env.DIST ?? resolve("dist"));
const browser = await launch(["--disable-gpu"]);
const post = async (u: string, b: unknown) => (await fetch(u, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(b) })).json();
const LISTEN = `window.nemesesMeasure = { drawnMs: null, marks: [], onMap(map) {
  this.marks.push(["map", Date.now()]);
  map.on("style.load", () => this.marks.push(["style", Date.now()]));
  let n = 0;
  map.on("render", () => { if (n++ < 200 && this.drawnMs === null) this.marks.push(["render", Date.now()]);
    if (!map.getLayer("devices")) return;
    if (this.drawnMs === null && map.isSourceLoaded("fleet") && (() => { const all = new Map(); for (const { properties: f } of map.queryRenderedFeatures({ layers: ["devices", "clusters"] })) all.set(f.cluster_id ?? f.id, f.point_count ?? 1); let sum = 0; for (const c of all.values()) sum += c; return sum >= 1000; })()) this.drawnMs = Date.now();
  }); } }`;
try {
  await post(`${node.url}/register/user`, ACCOUNT);
  const atS = Math.floor(Date.now() / 1000) - 60;
  await node.publish(Buffer.concat(Array.from({ length: 1000 }, (_, i) => { const [la, lo] = TOWNS[i % 10]!; const [turn, far] = [i * 2.39996, 0.02 * Math.sqrt(i / 10)]; return frame({ device: 0x500000 + i, atS, latitude: la + far * Math.sin(turn), longitude: lo + far * Math.cos(turn), speedKmh: i % 90 }); })));
  const { token } = await post(`${node.url}/login`, { email: ACCOUNT.email, password: ACCOUNT.password });
  await until("known", 60000, async () => { const a = await (await fetch(`${node.url}/api/v1/devices/?limit=1`, { headers: { Authorization: `Bearer ${token}` } })).json(); return Object.values(a.counts as Record<string, number>).reduce((s, c) => s + c, 0) >= 1000; });
  const times: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB" });
    const page: Page = await context.newPage();
    await page.addInitScript(LISTEN);
    const answered: [string, number][] = [];
    page.on("requestfinished", (r) => answered.push([r.url().replace(/.*:\d+/, "").slice(0, 30), Date.now()]));
    page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") console.log("console", m.text().slice(0, 300)); });
    page.on("pageerror", (e) => console.log("ERR", e.message));
    if (TRACE && run === RUNS - 1) await browser.startTracing(page, { path: TRACE, categories: ["devtools.timeline", "disabled-by-default-v8.cpu_profiler", "v8.execute", "blink.user_timing", "gpu", "toplevel"] } as never);
    await page.goto(p.url);
    const loaded = Date.now();
    await page.locator('input[name="email"]').fill(ACCOUNT.email);
    await page.locator('input[name="password"]').fill(ACCOUNT.password);
    if (PAUSE) await new Promise((d) => setTimeout(d, PAUSE));
    const begun = Date.now();
    await page.locator('button[type="submit"]').click();
    await page.locator(".unit").first().waitFor();
    const list = Date.now() - begun;
    await until("drawn", 60000, () => page.evaluate(() => { const text = document.querySelector(".counter-number")?.textContent ?? ""; return Number(text.replace(/\D/g, "")) >= 1000 && (window as any).nemesesMeasure.drawnMs !== null; }));
    const all = Date.now() - begun; times.push(all);
    const m = await page.evaluate(() => (window as any).nemesesMeasure);
    if (TRACE && run === RUNS - 1) await browser.stopTracing();
    const rel = (x: number) => x - begun;
    console.log(`run ${run}: list ${list} all ${all} drawn ${rel(m.drawnMs)} pageload ${loaded - begun}`);
    if (process.env.MARKS) { console.log("  ", [...m.marks.map(([n, t]: [string, number]) => `${n}@${rel(t)}`)].join(" ")); console.log("  ", answered.map(([n, t]) => `${n}@${rel(t)}`).join(" ")); }
    if (process.env.SHOT && run === RUNS - 1) await page.screenshot({ path: process.env.SHOT });
    await context.close();
  }
  times.sort((a, b) => a - b); console.log("median", times[times.length >> 1]);
} finally { await browser.close(); p.close(); await node.remove(); }
