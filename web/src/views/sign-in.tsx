// Sign in, or make an account and sign in with it.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError, register, signIn } from "../api/client";
import { warmMap } from "../map/held";
import { dark } from "../state/app";
import { language, t } from "../text/language";
import { reason } from "../ui/basics";
import { Logo } from "../ui/icons";
import { LanguagePicker } from "./menu";

const MIN_PASSWORD = 12;

function explain(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.kind === "wrong-credentials") return t("sign.wrong");
    if (error.kind === "email-taken") return t("sign.taken");
    if (error.kind === "forbidden") return t("sign.closed");
  }
  return reason(error);
}

export function SignIn({ enter, ended }: { enter: () => Promise<void>; ended: boolean }): JSX.Element {
  const [isNew, setNew] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<string | null>(null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => warmMap({ dark: dark.value, language: language(), label: t("map.label") }), []);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!form.current || busy) return;
    const field = (name: string): string => String(new FormData(form.current!).get(name) ?? "");
    setBusy(true);
    setFailed(null);
    try {
      if (isNew) await register(field("email"), field("password"), field("name"));
      await signIn(field("email"), field("password"));
      await enter();
    } catch (error) {
      setFailed(explain(error));
      setBusy(false);
    }
  };

  return (
    <main class="sign">
      <section class="sign-card">
        <header class="sign-head">
          <Logo size={44} />
          <h1>{t(isNew ? "sign.up.long" : "sign.in.long")}</h1>
          <p>{t("app.tagline")}</p>
        </header>
        {ended && !failed && (
          <p class="notice" role="status">
            {t("sign.ended")}
          </p>
        )}
        <form ref={form} onSubmit={(event) => void submit(event)}>
          {isNew && (
            <label class="field">
              <span>{t("sign.name")}</span>
              <input name="name" autocomplete="name" required maxLength={100} />
            </label>
          )}
          <label class="field">
            <span>{t("sign.email")}</span>
            <input name="email" type="email" autocomplete="username" required autofocus />
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
            {t(isNew ? "sign.up" : "sign.in")}
          </button>
        </form>
        <button
          type="button"
          class="link"
          onClick={() => {
            setNew(!isNew);
            setFailed(null);
          }}
        >
          {t(isNew ? "sign.to.in" : "sign.to.up")}
        </button>
      </section>
      <footer class="sign-foot">
        <LanguagePicker />
      </footer>
    </main>
  );
}
