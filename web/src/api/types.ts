// What the API says, by the names of its OpenAPI document: schema.d.ts is made from
// docs/openapi.json by `npm run api-types`, and is not kept. Times are RFC 3339 in UTC.

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Status = Schemas["DeviceStatus"];
export type Role = "admin" | "operator" | "viewer";

/** The newest that is known of a device. Unknown is `null`, never left out. */
export type Location = Schemas["Location"];
/** Of a device in a list: what its profile says, how it is, where it was last. */
export type Device = Pick<
  Schemas["Device"],
  "device_id" | "name" | "vehicle" | "tags" | "groups" | "status" | "seen_at" | "location"
>;
/** What people say of a device. */
export type Profile = Pick<
  Schemas["Device"],
  "name" | "vehicle" | "tags" | "groups" | "live_ttl_s" | "motion_kmh" | "stop_s" | "retention"
>;
/** How long frames of some devices are kept; `null` is for ever. */
export interface RetentionClass {
  name: string;
  keep_s: number | null;
}
export type DevicePage = Pick<Schemas["DevicesAnswer"], "next_cursor" | "counts"> & { devices: Device[] };
/** One stored frame. */
export type Row = Schemas["Row"];
export type RowPage = Schemas["Positions"];
export type Place = Schemas["Place"];
export type Trip = Schemas["Trip"];
export type Stop = Schemas["Stop"];
/** The sums of one local day. */
export type Day = Schemas["SummaryDay"];
export type Happening = Schemas["Event"];
/** What became of a frame. */
export type Found = Schemas["LookupAnswer"];
export type Letter = Schemas["DeadLetter"];
export type LetterPage = Schemas["DeadLettersAnswer"];
export type Retried = Schemas["RetriedDeadLetter"];
export type Storage = Schemas["StorageAnswer"];
export type DeviceLogin = Schemas["DeviceLogin"];
export type Person = Schemas["User"];
export type Granted = Schemas["WholeUser"];
export type Drawn = Schemas["DrawnPassword"];
export type Group = Schemas["GroupBrief"];
/** What a device reports by name, and what it said last. */
export type Channel = Schemas["Channel"];
export type ChannelName = Schemas["ChannelName"];

/** What was asked of a device, by whom, and what became of it. */
export type Command = Schemas["Command"] & { state: "queued" | "sent" | "answered" | "failed" | "expired" };
export type CommandPage = Omit<Schemas["CommandsAnswer"], "commands"> & { commands: Command[] };
export type SentCommand = Schemas["SentCommand"];

export type Severity = "critical" | "warning" | "info";
/** What a rule raised for a device. */
export type Alarm = Schemas["Alarm"] & { severity: Severity };
export type AlarmPage = Omit<Schemas["AlarmsAnswer"], "alarms"> & { alarms: Alarm[] };

/** Who is signed in. */
export type Me = Omit<Schemas["MyAccount"], "role"> & { role: Role };
