import { defineConfig } from "vite";

// The page is served by the API at `/`. With `npm run dev`, a node that runs on
// its default port answers what is asked of the API.
const api = process.env.NEMESES_API ?? "http://127.0.0.1:5000";
const proxied = [
  "/api",
  "/page.json",
  "/setup",
  "/login",
  "/logout",
  "/register",
  "/token",
  "/share",
  "/healthz",
  "/readyz",
];

export default defineConfig({
  base: "/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    // tools/clean.mjs does it, and leaves .gitignore.
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      output: { manualChunks: { maplibre: ["maplibre-gl/dist/maplibre-gl-csp"] } },
    },
  },
  server: { proxy: Object.fromEntries(proxied.map((path) => [path, { target: api, ws: true }])) },
});
