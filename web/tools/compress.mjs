// Puts a compressed form beside each file of the built page, and says how much a
// browser loads. Fails when the scripts outgrow what was promised.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = new URL("../dist", import.meta.url).pathname;
const MOST_SCRIPT_KIB = 500;
/** A browser loads the words of one language; the largest counts. */
const WORDS = /\/(en|pt)-[\w-]+\.js$/;
const COMPRESSED = /\.(js|css|html|svg|json|txt)$/;

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

let scriptBytes = 0;
let wordBytes = 0;
for (const file of files(DIST).filter((name) => COMPRESSED.test(name))) {
  const small = gzipSync(readFileSync(file), { level: 9 });
  if (small.length < statSync(file).size) writeFileSync(`${file}.gz`, small);
  else rmSync(`${file}.gz`, { force: true });
  if (WORDS.test(file)) wordBytes = Math.max(wordBytes, small.length);
  else if (file.endsWith(".js")) scriptBytes += small.length;
}
if (wordBytes === 0) throw new Error("no language is a file of its own any more");
const kib = Math.round((scriptBytes + wordBytes) / 1024);
console.log(`scripts: ${kib} KiB compressed, of at most ${MOST_SCRIPT_KIB}`);
if (kib > MOST_SCRIPT_KIB) process.exitCode = 1;
