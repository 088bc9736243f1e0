// Sign in, or make an account and sign in with it: one's own, or the first of a
// server with the token that its first start has printed.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError, register, setUp, signIn } from "../api/client";
import { settings } from "../api/settings";
import { warmMap } from "../map/held";
import { dark } from "../state/app";
import { setupToken } from "../state/route";
import type { Key } from "../text/en";
import { language, t } from "../text/language";
import { reason } from "../ui/basics";
import { Logo } from "../ui/icons";
import { LanguagePicker } from "./menu";
import { MIN_PASSWORD } from "./password";

type Task = "in" | "up" | "setup";

const WORDS: Record<Task, { title: Key; button: Key }> = {
  in: { title: "sign.in.long", button: "sign.in" },
  up: { title: "sign.up.long", button: "sign.up" },
  setup: { title: "sign.setup.long", button: "sign.setup" },
};

function explain(error: unknown, task: Task): string {
  if (error instanceof ApiError) {
    // Registering is answered alike for an address that has an account.
    if (error.kind === "wrong-credentials") return t(task === "up" ? "sign.taken" : "sign.wrong");
    if (error.kind === "wrong-setup-token") return t("sign.setup.wrong");
    if (error.kind === "forbidden") return t("sign.closed");
  }
  return reason(error);
}

/** The task that the address names; a link of the server's log brings the token. */
function useTask(): [Task, string, (task: Task) => void] {
  const asked = (): Task => (setupToken(location.hash) === null ? "in" : "setup");
  const [task, setTask] = useState<Task>(asked);
  const [token, setToken] = useState(setupToken(location.hash) ?? "");
  useEffect(() => {
    const follow = (): void => {
      setTask(asked());
      setToken(setupToken(location.hash) ?? "");
    };
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  const choose = (next: Task): void => {
    if (next === "setup") location.hash = "#/setup";
    else if (task === "setup") history.replaceState(null, "", "#/fleet");
    setTask(next);
  };
  return [task, token, choose];
}

/** Open until the server has said that it is not. */
function useRegistrationOpen(): boolean {
  const [open, setOpen] = useState(true);
  useEffect(() => void settings().then(({ registrationOpen }) => setOpen(registrationOpen)), []);
  return open;
}

export function SignIn({ enter, ended }: { enter: () => Promise<void>; ended: boolean }): JSX.Element {
  const [task, token, choose] = useTask();
  const isOpen = useRegistrationOpen();
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<string | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const isNew = task !== "in";
  useEffect(() => warmMap({ dark: dark.value, language: language(), label: t("map.label") }), []);
  useEffect(() => setFailed(null), [task]);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!form.current || busy) return;
    const data = new FormData(form.current);
    const field = (name: string): string => String(data.get(name) ?? "");
    const [email, password] = [field("email"), field("password")];
    setBusy(true);
    setFailed(null);
    try {
      if (task === "up") await register(email, password, field("name"));
      if (task === "setup") {
        await setUp(field("token").trim(), email, password, field("name"));
        // What made the account is used up, and not for the browser's history.
        history.replaceState(null, "", "#/fleet");
      }
      await signIn(email, password);
      await enter();
    } catch (error) {
      setFailed(explain(error, task));
      setBusy(false);
    }
  };

  return (
    <main class="sign">
      <section class="sign-card">
        <header class="sign-head">
          <Logo size={44} />
          <h1>{t(WORDS[task].title)}</h1>
          <p>{t(task === "setup" ? "sign.setup.hint" : "app.tagline")}</p>
        </header>
        {ended && !failed && (
          <p class="notice" role="status">
            {t("sign.ended")}
          </p>
        )}
        <form ref={form} onSubmit={(event) => void submit(event)}>
          {task === "setup" && (
            <label class="field">
              <span>{t("sign.setup.token")}</span>
              <input
                key={token}
                name="token"
                class="mono"
                required
                autocomplete="off"
                spellcheck={false}
                defaultValue={token}
              />
            </label>
          )}
          {isNew && (
            <label class="field">
              <span>{t("sign.name")}</span>
              <input name="name" autocomplete="name" required maxLength={100} />
            </label>
          )}
          <label class="field">
            <span>{t("sign.email")}</span>
            <input name="email" type="email" autocomplete="username" required autofocus={!isNew} />
          </label>
          <label class="field">
            <span>{t("sign.password")}</span>
            <input
              name="password"
              type="password"
              autocomplete={isNew ? "new-password" : "current-password"}
              required
              minLength={isNew ? MIN_PASSWORD : 1}
              aria-describedby={isNew ? "password-hint" : undefined}
            />
            {isNew && <small id="password-hint">{t("sign.password.hint")}</small>}
          </label>
          {failed && (
            <p class="form-error" role="alert">
              {failed}
            </p>
          )}
          <button class="button primary wide" type="submit" disabled={busy}>
            {t(WORDS[task].button)}
          </button>
        </form>
        {task !== "in" && (
          <button type="button" class="link" onClick={() => choose("in")}>
            {t("sign.to.in")}
          </button>
        )}
        {task === "in" && (
          <button type="button" class="link" onClick={() => choose(isOpen ? "up" : "setup")}>
            {t(isOpen ? "sign.to.up" : "sign.to.setup")}
          </button>
        )}
      </section>
      <footer class="sign-foot">
        <LanguagePicker />
      </footer>
    </main>
  );
}
