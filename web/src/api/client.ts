// The one file that fetches. It keeps the access token in memory alone (the
// refresh token is a cookie that scripts cannot read), renews it before it runs
// out, and turns every problem document into an `ApiError`.

import { nowMs, serverSaid } from "../state/clock";
import type { DevicePage, Location, Me } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** After `urn:nemeses:problem:`; `unreachable` when nothing answered. */
    readonly kind: string,
    detail: string,
    readonly parameter: string | null = null,
    /** Where in a text it is wrong, from 1. */
    readonly column: number | null = null,
  ) {
    super(detail);
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

interface Token {
  token: string;
  expires_in: number;
}

/** Renewed this long before it runs out, so that no request meets an old one. */
const RENEW_BEFORE_S = 60;

/** A way to the server that takes longer is none. Hashing a password takes one of them at most. */
const TOKEN_WITHIN_MS = 15_000;

let token: string | null = null;
let renewAt = 0;
let renewing: Promise<boolean> | null = null;
let byCookie = false;
/** The secret of the share link that was opened. */
let share: string | null = null;
const listeners = new Set<() => void>();

/** Called when the session has ended and cannot be renewed. */
export function onSignedOut(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function isSignedIn(): boolean {
  return token !== null;
}

function keep(answer: Token): void {
  token = answer.token;
  renewAt = nowMs() + Math.max(5, answer.expires_in - RENEW_BEFORE_S) * 1000;
}

function forget(): void {
  token = null;
  if (byCookie) localStorage.removeItem(SIGNED_IN);
  for (const listener of listeners) listener();
}

export async function signIn(email: string, password: string): Promise<void> {
  keep(await send<Token>("POST", "/login", { email, password, cookie: true }));
  share = null;
  byCookie = true;
  localStorage.setItem(SIGNED_IN, "1");
}

/** The account of the session. */
export async function whoAmI(): Promise<Me> {
  return (await get<{ user: Me }>("/api/v1/me")).user;
}

/** The first account of a server, an administrator's. */
export async function setUp(token: string, email: string, password: string, name: string): Promise<void> {
  await send("POST", "/setup", { token, email, password, name });
}

export async function register(email: string, password: string, name: string): Promise<void> {
  await send("POST", "/register/user", { email, password, name });
}

/** Opens what a share link shows; nothing is kept in the browser. */
export async function openShare(secret: string): Promise<ShareOpened> {
  const opened = await send<ShareOpened & Token>("POST", "/share/open", { token: secret });
  keep(opened);
  byCookie = false;
  share = secret;
  return opened;
}

export interface ShareOpened {
  name?: string | null;
  share_expires_at?: string | null;
  /** What was recorded is shown from here on; `null` where none of it is. */
  history_from?: string | null;
}

/** Says that this browser may hold a session; the session itself is in the cookie. */
const SIGNED_IN = "nemeses-signed-in";

/** Takes up the session of an earlier visit. Whether there is one. */
export async function resume(): Promise<boolean> {
  if (localStorage.getItem(SIGNED_IN) === null) return false;
  byCookie = true;
  return renew();
}

export async function signOut(): Promise<void> {
  try {
    if (byCookie) await send("POST", "/token/logout", {}, { "X-Requested-With": "nemeses" });
  } finally {
    forget();
  }
}

/** One renewal at a time, whoever asks. */
function renew(): Promise<boolean> {
  renewing ??= (async () => {
    try {
      if (share !== null) keep(await send<Token>("POST", "/share/open", { token: share }));
      else keep(await send<Token>("POST", "/token/refresh", {}, { "X-Requested-With": "nemeses" }));
      return true;
    } catch (error) {
      // A server that is away has not ended the session.
      if (error instanceof ApiError && error.status < 500 && error.kind !== "unreachable") {
        token = null;
        return false;
      }
      throw error;
    } finally {
      renewing = null;
    }
  })();
  return renewing;
}

async function authorized(): Promise<HeadersInit> {
  if ((byCookie || share !== null) && (token === null || nowMs() >= renewAt)) {
    try {
      if (!(await renew())) forget();
    } catch (error) {
      if (token === null) throw error;
    }
  }
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

async function raw(
  method: string,
  path: string,
  body: unknown,
  headers: HeadersInit,
  signal?: AbortSignal,
): Promise<Response> {
  const init: RequestInit = { method, headers: new Headers(headers), credentials: "same-origin" };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    (init.headers as Headers).set("Content-Type", "application/json");
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server does not answer.");
  }
  serverSaid(response.headers.get("Date"));
  if (!response.ok) throw await problem(response);
  return response;
}

async function problem(response: Response): Promise<ApiError> {
  let told: { type?: string; detail?: string; parameter?: string; column?: number } = {};
  try {
    told = (await response.json()) as typeof told;
  } catch {
    // Something between us and the server answered; its status is all there is.
  }
  const kind = told.type?.split(":").pop() ?? `status-${response.status}`;
  const detail = told.detail ?? `The server answered ${response.status}.`;
  return new ApiError(response.status, kind, detail, told.parameter ?? null, told.column ?? null);
}

async function read<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

async function send<T>(method: string, path: string, body?: unknown, headers: HeadersInit = {}): Promise<T> {
  return read<T>(await raw(method, path, body, headers, AbortSignal.timeout(TOKEN_WITHIN_MS)));
}

/** Asks as who is signed in; once more with a new token when this one is refused. */
async function ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers = await authorized();
  try {
    return await raw(method, path, body, headers, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    if (!(byCookie || share !== null) || !(await renew())) {
      forget();
      throw error;
    }
    return raw(method, path, body, await authorized(), signal);
  }
}

export function pathWith(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return read<T>(await ask("GET", pathWith(path, query), undefined, signal));
}

export async function change<T>(
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  return read<T>(await ask(method, path, body, signal));
}

/** Saves an answer as a file, under the name that the server gives it. */
export async function download(path: string, query: Query, name: string): Promise<void> {
  const response = await ask("GET", pathWith(path, query));
  const said = /filename="?([^";]+)"?/.exec(response.headers.get("Content-Disposition") ?? "");
  saveAs(await response.blob(), said?.[1] ?? name);
}

/** Hands a file to the person. */
export function saveAs(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has taken the blob over by then.
  setTimeout(() => URL.revokeObjectURL(url), 30_000);
}

export function location(device: string, signal?: AbortSignal): Promise<Location> {
  return get<Location>("/api/v1/location/", { device_id: device }, signal);
}

const PAGE_DEVICES = 1000;

/** Requests at once, of the six that a browser has for a server. */
const MOST_SHARES = 4;

/** Every device that may be seen, page by page: the first, then the rest in shares at once. */
export async function devices(signal: AbortSignal, each: (page: DevicePage) => void): Promise<void> {
  const take = async (cursor: string | null, shard: string | null): Promise<DevicePage> => {
    const query = { limit: PAGE_DEVICES, cursor, shard };
    const page = await get<DevicePage>("/api/v1/devices/", query, signal);
    each(page);
    return page;
  };
  const first = await take(null, null);
  if (first.next_cursor === null) return;
  const total = Object.values(first.counts).reduce((sum, count) => sum + count, 0);
  const pages = Math.ceil((total - PAGE_DEVICES) / PAGE_DEVICES);
  const of = Math.max(1, Math.min(MOST_SHARES, pages));
  const share = async (index: number): Promise<void> => {
    for (let cursor = first.next_cursor; cursor !== null; ) {
      cursor = (await take(cursor, `${index}/${of}`)).next_cursor;
    }
  };
  await Promise.all(Array.from({ length: of }, (_, index) => share(index + 1)));
}
