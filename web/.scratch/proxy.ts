import { createServer, request } from "node:http";
import { connect } from "node:net";
import { existsSync, readFileSync } from "node:fs";
import { join, extname } from "node:path";
const T: Record<string,string> = { ".js":"text/javascript; charset=utf-8", ".css":"text/css; charset=utf-8", ".html":"text/html; charset=utf-8", ".json":"application/json", ".svg":"image/svg+xml" };
/** Serves dist in front of a node. */
export function proxy(port: number, dist: string): Promise<{ url: string; close(): void }> {
  const server = createServer((req, res) => {
    const path = (req.url ?? "/").split("?")[0]!;
    const file = join(dist, path === "/" ? "index.html" : path);
    if (req.method === "GET" && (path === "/" || path.startsWith("/assets/") || path === "/icon.svg" || path.startsWith("/map-")) && existsSync(file)) {
      const gz = existsSync(file + ".gz");
      const h: Record<string,string> = { "Content-Type": T[extname(file)] ?? "application/octet-stream", "Cache-Control": path === "/" ? "no-cache" : "public, max-age=31536000, immutable" };
      if (path === "/") h["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; manifest-src 'self'";
      if (gz) h["Content-Encoding"] = "gzip";
      res.writeHead(200, h); res.end(readFileSync(gz ? file + ".gz" : file)); return;
    }
    const up = request({ host: "127.0.0.1", port, path: req.url, method: req.method, headers: req.headers }, (r) => { res.writeHead(r.statusCode!, r.headers); r.pipe(res); });
    up.on("error", () => res.destroy());
    req.pipe(up);
  });
  server.on("upgrade", (req, socket, head) => {
    const s = connect(port, "127.0.0.1", () => {
      s.write(`GET ${req.url} HTTP/1.1\r\n` + Object.entries(req.headers).map(([k, v]) => `${k}: ${v}\r\n`).join("") + "\r\n"); s.write(head);
      s.pipe(socket); socket.pipe(s);
    });
    s.on("error", () => socket.destroy()); socket.on("error", () => s.destroy());
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done({ url: `http://127.0.0.1:${(server.address() as {port:number}).port}`, close: () => server.close() })));
}
