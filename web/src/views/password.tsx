// Changing one's own password.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { ApiError, change } from "../api/client";
import { t } from "../text/language";
import { reason } from "../ui/basics";

export const MIN_PASSWORD = 12;

/** In words for the two mistakes that people make. */
function explain(error: unknown): string {
  if (error instanceof ApiError && error.parameter === "old_password") return t("password.wrong");
  return reason(error);
}

export function PasswordForm({ close }: { close: () => void }): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const [state, setState] = useState<"asking" | "busy" | "done">("asking");
  const [failed, setFailed] = useState<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (state === "busy") return;
    const data = new FormData(form.current!);
    const field = (name: string): string => String(data.get(name) ?? "");
    setFailed(null);
    if (field("password") !== field("again")) {
      setFailed(t("password.differ"));
      return;
    }
    setState("busy");
    try {
      await change("POST", "/api/v1/me/password", { old_password: field("old"), password: field("password") });
      setState("done");
    } catch (error) {
      setFailed(explain(error));
      setState("asking");
    }
  };
  if (state === "done") {
    return (
      <div class="password">
        <p class="told" role="status">
          {t("password.done")}
        </p>
        <button type="button" class="button small" onClick={close}>
          {t("common.close")}
        </button>
      </div>
    );
  }
  return (
    <form class="password" ref={form} onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span>{t("password.old")}</span>
        <input name="old" type="password" autocomplete="current-password" required autofocus />
      </label>
      {(["password", "again"] as const).map((name) => (
        <label class="field" key={name}>
          <span>{t(name === "password" ? "password.new" : "password.again")}</span>
          <input name={name} type="password" autocomplete="new-password" required minLength={MIN_PASSWORD} />
        </label>
      ))}
      <small>{t("sign.password.hint")}</small>
      {failed && (
        <p class="form-error" role="alert">
          {failed}
        </p>
      )}
      <div class="form-end">
        <button type="submit" class="button primary small" disabled={state === "busy"}>
          {t("password.change")}
        </button>
        <button type="button" class="button small" onClick={close}>
          {t("admin.cancel")}
        </button>
      </div>
    </form>
  );
}
