// Commands for a device: stored until it has them, and then the record of who asked for what.

import { segment } from "../state/route";
import { change, get } from "./client";
import type { Command, CommandPage, SentCommand } from "./types";

const pathOf = (device: string): string => `/api/v1/devices/${segment(device)}/commands`;

/** The newest commands of a device, newest first. */
export async function commandsOf(device: string, limit: number, signal: AbortSignal): Promise<CommandPage> {
  return get<CommandPage>(pathOf(device), { limit }, signal);
}

/** What is sent: a text as UTF-8, or bytes as hex digits. */
export type Payload = { text: string } | { hex: string };

export const sendCommand = (device: string, payload: Payload, expiresInS: number): Promise<SentCommand> =>
  change<SentCommand>("POST", pathOf(device), { ...payload, expires_in_s: expiresInS });

export const withdrawCommand = (device: string, { id }: Command): Promise<unknown> =>
  change("DELETE", `${pathOf(device)}/${id}`);
