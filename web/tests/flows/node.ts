// A node of its own on free ports, in a temporary folder, and frames for it.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(new URL(".", import.meta.url).pathname, "../../..");
/** As cargo built it last: `NEMESES_PROFILE=release` for measurements. */
export const PROGRAM = resolve(
  ROOT,
  process.env.CARGO_TARGET_DIR ?? "target",
  process.env.NEMESES_PROFILE ?? "debug",
  "nemeses",
);
const READY_WITHIN_MS = 30_000;
const ENDS_WITHIN_MS = 15_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

export async function until<T>(
  what: string,
  withinMs: number,
  ask: () => Promise<T | null | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** A zone in which it is about noon, so that no midnight falls into what was recorded. */
export function noon(now: Date): string {
  const behind = now.getUTCHours() - 12;
  return behind === 0 ? "Etc/GMT" : `Etc/GMT${behind > 0 ? "+" : "-"}${Math.abs(behind)}`;
}

export class Node {
  private child: ChildProcess | null = null;

  private constructor(
    private readonly folder: string,
    readonly http: number,
    readonly mqtt: number,
    private readonly admin: number,
  ) {}

  /** `args` hold until it is run again with others. */
  static async start(args: readonly string[] = []): Promise<Node> {
    const folder = mkdtempSync(join(tmpdir(), "nemeses-page-"));
    const node = new Node(folder, await freePort(), await freePort(), await freePort());
    await node.run(args);
    return node;
  }

  get url(): string {
    return `http://127.0.0.1:${this.http}`;
  }

  /** Starts it, or starts it again where it was. */
  async run(more: readonly string[] = []): Promise<void> {
    const log = openSync(join(this.folder, "node.log"), "a");
    const at = (port: number): string => `127.0.0.1:${port}`;
    const args = ["up", "--data-dir", join(this.folder, "data"), "--mqtt-listen", at(this.mqtt)];
    args.push("--http-listen", at(this.http), "--admin-listen", at(this.admin), ...more);
    const child = spawn(PROGRAM, args, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.child = child;
    await until("the node is ready", READY_WITHIN_MS, async () => {
      if (child.exitCode !== null) throw new Error(`the node ended:\n${this.log()}`);
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      return answer?.ok;
    });
  }

  async stop(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), ENDS_WITHIN_MS);
    await ended;
    clearTimeout(late);
  }

  /** It is there and does nothing, as behind a network that swallows everything. */
  pause(): void {
    this.child?.kill("SIGSTOP");
  }

  resume(): void {
    this.child?.kill("SIGCONT");
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  log(): string {
    return readFileSync(join(this.folder, "node.log"), "utf8");
  }

  /** Publishes with QoS 1 and waits for the acknowledgement. */
  publish(payload: Buffer, topic = "/messenger"): Promise<void> {
    const text = (value: string): Buffer => {
      const bytes = Buffer.from(value);
      return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
    };
    const packet = (head: number, body: Buffer): Buffer => {
      const length: number[] = [];
      let rest = body.length;
      do {
        length.push((rest % 128) | (rest >= 128 ? 128 : 0));
        rest = Math.floor(rest / 128);
      } while (rest > 0);
      return Buffer.concat([Buffer.from([head, ...length]), body]);
    };
    const hello = Buffer.concat([text("MQTT"), Buffer.from([4, 2, 0, 60]), text("page-flow")]);
    const message = Buffer.concat([text(topic), Buffer.from([0, 1]), payload]);
    return new Promise((done, failed) => {
      const socket = connect(this.mqtt, "127.0.0.1", () => socket.write(packet(0x10, hello)));
      socket.setTimeout(20_000, () => socket.destroy(new Error("no acknowledgement within 20 s")));
      socket.on("error", failed);
      socket.on("data", (data) => {
        if (data[0] === 0x20) socket.write(packet(0x32, message));
        if (data.includes(Buffer.from([0x40, 2, 0, 1]))) {
          socket.end();
          done();
        }
      });
    });
  }
}

/** What a device reports by name, at a moment (Unix seconds). */
export const report = (atS: number, values: object, units: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ t: atS, values, units }));

export interface Spot {
  device: number;
  atS: number;
  latitude: number;
  longitude: number;
  speedKmh: number;
  odometerM?: number;
  ignition?: boolean;
}

/** An SFT9001 location frame with a GPS fix. */
export function frame(spot: Spot): Buffer {
  const bytes = Buffer.alloc(33);
  const sign = (spot.latitude < 0 ? 0x1000 : 0) | (spot.longitude < 0 ? 0x0800 : 0);
  bytes.writeUInt16BE(0x50f7, 0);
  bytes.writeUIntBE(spot.device, 2, 3);
  bytes[5] = 2;
  bytes.writeUInt32BE(spot.atS, 6);
  bytes.writeUInt16BE(4500, 10);
  bytes.writeUInt32BE(spot.odometerM ?? 1_000_000, 12);
  bytes.writeUInt32BE(36_000, 16);
  bytes.writeUInt16BE(0x8000 | (spot.ignition === false ? 0 : 0x2000) | sign, 20);
  bytes[22] = spot.speedKmh;
  bytes.writeUInt32BE(Math.round(Math.abs(spot.latitude) * 1e6), 23);
  bytes.writeUInt32BE(Math.round(Math.abs(spot.longitude) * 1e6), 27);
  bytes.writeUInt16BE(0x73c4, 31);
  return bytes;
}

/** A drive to the north of so many seconds that ends at `endS`, a frame every 10 s. */
export function drive(device: number, endS: number, seconds: number): Buffer {
  const frames: Buffer[] = [];
  for (let s = 0; s <= seconds; s += 10) {
    frames.push(
      frame({
        device,
        atS: endS - seconds + s,
        latitude: -19.95 + s * 0.00015,
        longitude: -43.94,
        speedKmh: 60,
        odometerM: 1_000_000 + Math.round(s * 16.7),
      }),
    );
  }
  return Buffer.concat(frames);
}
