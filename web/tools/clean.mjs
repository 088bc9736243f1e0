// Empties dist/, but for the file that keeps the folder in the repository.
import { readdirSync, rmSync } from "node:fs";

const DIST = new URL("../dist/", import.meta.url);
for (const name of readdirSync(DIST)) {
  if (name !== ".gitignore") rmSync(new URL(name, DIST), { recursive: true });
}
