import { defineConfig } from "vitest/config";

// Pure functions alone: the flows in a browser have their own configuration.
export default defineConfig({
  test: { include: ["tests/unit/**/*.test.ts"], environment: "node", setupFiles: ["tests/unit/words.ts"] },
});
