// How new alarms make themselves heard: a sound and the browser's notifications. Both are off
// until somebody switches them on, and remembered by the browser.

import type { Alarm, Severity } from "../api/types";
import { t } from "../text/language";
import { SEVERITIES } from "./alarms";
import { Cell } from "./cell";
import { live } from "./live";

const STORED_SOUND = "nemeses-alarm-sound";
const STORED_NOTICE = "nemeses-alarm-notice";

const canNotify = "Notification" in window;

export const alarmSound = new Cell<boolean>(localStorage.getItem(STORED_SOUND) === "on");
/** Only as long as the browser allows it. */
export const alarmNotice = new Cell<boolean>(
  canNotify && Notification.permission === "granted" && localStorage.getItem(STORED_NOTICE) === "on",
);

/** Whether anything is to be heard of alarms while nobody looks. */
export const isListening = (): boolean => alarmSound.value || alarmNotice.value;

const store = (name: string, on: boolean): void => localStorage.setItem(name, on ? "on" : "off");

export function switchSound(on: boolean): void {
  alarmSound.set(on);
  store(STORED_SOUND, on);
  if (on) sound("warning");
}

/** Asks the browser first; whether it is as wanted then. */
export async function switchNotice(on: boolean): Promise<boolean> {
  const allowed = on && canNotify && (await Notification.requestPermission()) === "granted";
  alarmNotice.set(allowed);
  store(STORED_NOTICE, allowed);
  return allowed === on;
}

let audio: AudioContext | null = null;

/** Tones of a severity: frequency in Hz, each a quarter of a second after the one before. */
const TONES: Record<Severity, readonly number[]> = {
  critical: [880, 660, 880, 660],
  warning: [660, 880],
  info: [660],
};
const TONE_EVERY_S = 0.25;
const TONE_S = 0.18;
const LOUDNESS = 0.2;

function sound(severity: Severity): void {
  audio ??= new AudioContext();
  // A browser plays nothing before the person has done something on the page.
  void audio.resume();
  TONES[severity].forEach((hz, index) => {
    const [tone, volume] = [audio!.createOscillator(), audio!.createGain()];
    const atS = audio!.currentTime + index * TONE_EVERY_S;
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0, atS);
    volume.gain.linearRampToValueAtTime(LOUDNESS, atS + 0.02);
    volume.gain.linearRampToValueAtTime(0, atS + TONE_S);
    tone.connect(volume).connect(audio!.destination);
    tone.start(atS);
    tone.stop(atS + TONE_S);
  });
}

const nameOf = (device: string): string => live.value?.fleet.units.get(device)?.name ?? device;

/** More than this at once are one notification. */
const MOST_NOTICES = 3;

/** Opens an alarm's line when its notification is clicked. */
function notice(title: string, body: string, tag: string, hash: string): void {
  // Of several open pages, one shows it: the tag is the same.
  const shown = new Notification(title, { body, tag });
  shown.onclick = () => {
    window.focus();
    location.hash = hash;
    shown.close();
  };
}

/** In a sentence: which rule, and of which device. */
export const inWords = ({ rule_name, device_id }: Alarm): string => `${rule_name} · ${nameOf(device_id)}`;

export function announce(news: readonly Alarm[]): void {
  if (news.length === 0) return;
  const worst = SEVERITIES.find((severity) => news.some((alarm) => alarm.severity === severity))!;
  if (alarmSound.value) sound(worst);
  if (!alarmNotice.value || !canNotify || Notification.permission !== "granted") return;
  if (news.length > MOST_NOTICES) {
    const body = news.slice(0, MOST_NOTICES).map(inWords).join("\n");
    notice(t("alarms.new.many", { count: news.length }), body, "nemeses-alarms", "#/alarms");
    return;
  }
  for (const alarm of news) {
    notice(
      `${t(`severity.${alarm.severity}`)}: ${alarm.rule_name}`,
      nameOf(alarm.device_id),
      `nemeses-alarm-${alarm.id}`,
      `#/alarms?alarm=${alarm.id}`,
    );
  }
}
