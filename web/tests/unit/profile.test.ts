import { describe, expect, it } from "vitest";

import { profileOf, regrouped, tagsOf } from "../../src/state/profile";

describe("the form of a device", () => {
  it("reads tags as people write them", () => {
    expect(tagsOf(" cold,, truck ,cold")).toEqual(["cold", "truck"]);
    expect(tagsOf(" ")).toEqual([]);
  });

  it("leaves what is empty to the usual", () => {
    const fields: Record<string, string> = { name: " Van 7 ", motion_kmh: "3", live_ttl_s: "", retention: "law" };
    expect(profileOf((name) => fields[name] ?? "")).toEqual({
      name: "Van 7",
      vehicle: "",
      tags: [],
      live_ttl_s: null,
      motion_kmh: 3,
      stop_s: null,
      retention: "law",
    });
  });

  it("changes only the groups that differ", () => {
    expect(regrouped([1, 2], [2, 3])).toEqual({ into: [3], outOf: [1] });
    expect(regrouped([1], [1])).toEqual({ into: [], outOf: [] });
  });
});
