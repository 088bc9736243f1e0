import { defineConfig } from "vitest/config";

// A real node and a real browser: one file at a time, each step with a deadline.
export default defineConfig({
  test: {
    include: ["tests/flows/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 90_000,
    bail: 1,
  },
});
