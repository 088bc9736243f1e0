import { readdirSync, readFileSync } from "node:fs";
import { launch } from "../tests/flows/browser";
const [, , dir, suffix, out, h = "700", from = "0", to = "99"] = process.argv.filter((x) => !/vite-node/.test(x) || x.startsWith("/tmp")).slice(-8) as string[];
const d = process.env.D!, s = process.env.S!, o = process.env.O!, height = process.env.H ?? "700";
const files = readdirSync(d).filter((f) => f.endsWith(s)).filter((f) => !process.env.M || new RegExp(process.env.M).test(f));
const b = await launch(); const p = await b.newPage({ viewport: { width: Number(process.env.W ?? 1800), height: 400 } });
await p.setContent(`<body style="margin:4px;background:#888;display:flex;flex-wrap:wrap;gap:6px">` + files.map((f) => `<figure style="margin:0"><figcaption style="font:12px sans-serif;color:#fff">${f}</figcaption><img style="height:${height}px" src="data:image/png;base64,${readFileSync(`${d}/${f}`).toString("base64")}"></figure>`).join(""));
await p.waitForTimeout(500); await p.screenshot({ path: o, fullPage: true }); await b.close();
