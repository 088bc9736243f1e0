// Starts the page: takes up a share link or an earlier session, then shows it.

import { render } from "preact";

import { onSignedOut, openShare, resume, whoAmI } from "./api/client";
import { dropMap, warmMap } from "./map/held";
import { forgetTabs } from "./state/alarm-tabs";
import { AlarmWatch, alarmWatch } from "./state/alarm-watch";
import { chooseLanguage, language as chosenLanguage, dark, session } from "./state/app";
import { forgetFences } from "./state/fences";
import { Live, live } from "./state/live";
import { shareToken } from "./state/route";
import { language, t } from "./text/language";
import { App } from "./views/app";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/views.css";
import "./styles/device.css";
import "./styles/channels.css";
import "./styles/alarms.css";
import "./styles/pages.css";
import "./styles/print.css";

const SHARE_AGAIN_MS = 3000;

/** The fleet is asked for while the server says who is asking. */
export async function enter(): Promise<void> {
  begin();
  try {
    session.set({ state: "in", me: await whoAmI() });
    alarmWatch.value?.close();
    if (live.value) alarmWatch.set(new AlarmWatch(live.value));
  } catch (error) {
    leave();
    throw error;
  }
}

function begin(): void {
  live.value?.close();
  live.set(new Live());
}

function leave(): void {
  live.value?.close();
  live.set(null);
  alarmWatch.value?.close();
  alarmWatch.set(null);
  forgetFences();
  forgetTabs();
}

function end(): void {
  leave();
  dropMap();
  const before = session.value.state;
  session.set(before === "share" ? { state: "bad-share" } : { state: "out", ended: before === "in" });
}

async function start(): Promise<void> {
  const share = shareToken(location.hash);
  // Whoever comes in will want it.
  warmMap({ dark: dark.value, language: language(), label: t("map.label") });
  try {
    if (share !== null) {
      const opened = await openShare(share);
      session.set({
        state: "share",
        name: opened.name ?? null,
        expiresMs: opened.share_expires_at ? Date.parse(opened.share_expires_at) : null,
        // A server of before there was a choice shows everything.
        past: opened.history_from !== null,
        fromMs: opened.history_from ? Date.parse(opened.history_from) : null,
      });
      begin();
    } else if (await resume()) {
      await enter();
    } else {
      session.set({ state: "out", ended: false });
    }
  } catch {
    if (share !== null) session.set({ state: "bad-share" });
    // The server is away: the page is there, so it comes back soon.
    else setTimeout(() => void start(), SHARE_AGAIN_MS);
  }
}

onSignedOut(end);

/** Nothing is drawn without words. */
async function show(): Promise<void> {
  await chooseLanguage(chosenLanguage.value);
  const root = document.getElementById("app");
  if (root) render(<App enter={enter} />, root);
  await start();
}

void show();
