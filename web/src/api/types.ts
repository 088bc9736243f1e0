// What the API says, in the words of docs/api.md. Times are RFC 3339 in UTC.

export type Status = "online" | "late" | "offline" | "never";
export type Role = "admin" | "operator" | "viewer";

/** The newest that is known of a device. Unknown is `null`, never left out. */
export interface Location {
  device_id: string;
  status: Status;
  message: string | null;
  recorded_at: string | null;
  received_at: string | null;
  seen_at: string | null;
  age_s: number | null;
  latitude: number | null;
  longitude: number | null;
  position_recorded_at: string | null;
  position_age_s: number | null;
  position_from: "live" | "history" | null;
  speed_kmh: number | null;
  direction_deg: number | null;
  ignition: boolean | null;
  gps_fix: boolean | null;
  odometer_m: number | null;
  hour_meter_min: number | null;
}

export interface Device {
  device_id: string;
  name: string | null;
  vehicle: string | null;
  tags: string[];
  groups: (string | number | { group_id: number; name: string })[];
  status: Status;
  seen_at: string | null;
  location: Location | null;
}

export interface DevicePage {
  devices: Device[];
  counts: Partial<Record<Status | "total", number>>;
  next_cursor: string | null;
}

/** One stored frame. */
export interface Row {
  device_id: string;
  recorded_at: string;
  received_at: string;
  latitude: number | null;
  longitude: number | null;
  speed_kmh: number;
  direction_deg: number;
  odometer_m: number;
  hour_meter_min: number;
  ignition: boolean;
  gps_fix: boolean;
  historical: boolean;
}

export interface RowPage {
  rows: Row[];
  count: number;
  next_cursor: string | null;
}

export interface Place {
  latitude: number;
  longitude: number;
}

/** Who is signed in. */
export interface Me {
  user_id: number;
  email: string;
  name: string;
  role: Role;
}
