import { describe, expect, it } from "vitest";

import { profileOf, regrouped, shownNumber, tagsOf } from "../../src/state/profile";

describe("the form of a device", () => {
  it("reads tags as people write them", () => {
    expect(tagsOf(" cold,, truck ,cold")).toEqual(["cold", "truck"]);
    expect(tagsOf(" ")).toEqual([]);
  });

  it("leaves what is empty to the usual", () => {
    const fields: Record<string, string> = {
      name: " Van 7 ",
      motion_kmh: "3",
      live_ttl_s: "",
      stop_s: "2.5",
      retention: "law",
    };
    expect(profileOf((name) => fields[name] ?? "")).toEqual({
      name: "Van 7",
      vehicle: "",
      tags: [],
      live_ttl_s: null,
      motion_kmh: 3,
      // Minutes in the field, seconds in the API.
      stop_s: 150,
      retention: "law",
    });
  });

  it("shows seconds as minutes", () => {
    expect([300, 90, null].map((value) => shownNumber(value, 60))).toEqual(["5", "1.5", ""]);
  });

  it("changes only the groups that differ", () => {
    expect(regrouped([1, 2], [2, 3])).toEqual({ into: [3], outOf: [1] });
    expect(regrouped([1], [1])).toEqual({ into: [], outOf: [] });
  });
});
