import { afterEach, describe, expect, it, vi } from "vitest";

import { devices } from "../../src/api/client";

const LIMIT = 1000;

interface Asked {
  cursor: string | null;
  shard: string | null;
}

/** Answers like a server with so many devices, whose ids are spread over shares by remainder. */
function serve(total: number) {
  const asked: Asked[] = [];
  let [open, most] = [0, 0];
  vi.stubGlobal("fetch", async (path: string) => {
    const query = new URL(path, "http://here").searchParams;
    const [cursor, shard] = [query.get("cursor"), query.get("shard")];
    asked.push({ cursor, shard });
    most = Math.max(most, (open += 1));
    await new Promise((done) => setTimeout(done, 1));
    open -= 1;
    const [index, of] = (shard ?? "1/1").split("/").map(Number) as [number, number];
    const rest = Array.from({ length: total }, (_, id) => id).filter(
      (id) => id > Number(cursor ?? -1) && id % of === index - 1,
    );
    const shown = rest.slice(0, LIMIT);
    const next_cursor = rest.length > LIMIT ? String(shown.at(-1)) : null;
    const counts = { online: total, late: 0, offline: 0, never: 0 };
    return Response.json({ devices: shown.map((id) => ({ device_id: String(id) })), counts, next_cursor });
  });
  return { asked, most: () => most };
}

async function read(): Promise<string[]> {
  const ids: string[] = [];
  await devices(new AbortController().signal, (page) => {
    ids.push(...page.devices.map(({ device_id }) => device_id));
  });
  return ids;
}

describe("the list of devices", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("is read as it is while it fits on a page", async () => {
    const server = serve(LIMIT);
    expect(await read()).toHaveLength(LIMIT);
    expect(server.asked).toEqual([{ cursor: null, shard: null }]);
  });

  it.each([LIMIT + 1, 2 * LIMIT + 1, 10 * LIMIT, 12_345])("of %d is read whole and each device once", async (total) => {
    const server = serve(total);
    const ids = await read();
    expect(new Set(ids).size).toBe(total);
    expect(ids).toHaveLength(total);
    const more = Math.ceil((total - LIMIT) / LIMIT);
    expect(server.most()).toBe(Math.min(4, more));
  });
});
