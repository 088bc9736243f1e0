// The account menu: who is signed in, appearance, language, sign out.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { signOut } from "../api/client";
import { chooseLanguage, language, session, type Theme, theme } from "../state/app";
import { useCell } from "../state/cell";
import type { Key } from "../text/en";
import { LANGUAGES, type Language, t } from "../text/language";
import { Icon } from "../ui/icons";
import { PasswordForm } from "./password";

export function LanguagePicker(): JSX.Element {
  const current = useCell(language);
  return (
    <div class="segmented" role="group" aria-label={t("menu.language")}>
      {LANGUAGES.map(([code, name]) => (
        <button
          type="button"
          key={code}
          lang={code}
          aria-pressed={current === code}
          onClick={() => void chooseLanguage(code as Language)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

function ThemePicker(): JSX.Element {
  const current = useCell(theme);
  return (
    <div class="segmented" role="group" aria-label={t("menu.theme")}>
      {(["auto", "light", "dark"] as Theme[]).map((name) => (
        <button type="button" key={name} aria-pressed={current === name} onClick={() => theme.set(name)}>
          {name === "auto" ? "Auto" : t(`menu.theme.${name}` as Key)}
        </button>
      ))}
    </div>
  );
}

export function Menu(): JSX.Element {
  const [open, setOpen] = useState(false);
  const [changing, setChanging] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const now = useCell(session);

  useEffect(() => {
    if (!open) return;
    const leave = (event: Event): void => {
      if (event instanceof KeyboardEvent) {
        if (event.key !== "Escape") return;
        // Back to where one was, and not a view up.
        event.preventDefault();
        button.current?.focus();
      } else if (box.current?.contains(event.target as Node)) return;
      setOpen(false);
      setChanging(false);
    };
    document.addEventListener("pointerdown", leave);
    document.addEventListener("keydown", leave);
    return () => {
      document.removeEventListener("pointerdown", leave);
      document.removeEventListener("keydown", leave);
    };
  }, [open]);

  return (
    <div class="menu" ref={box}>
      <button
        ref={button}
        type="button"
        class="button icon-only quiet"
        aria-label={t("menu.account")}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="user" size={20} />
      </button>
      {open && (
        <div class="menu-card">
          {now.state === "in" && (
            <div class="menu-who">
              <strong>{now.me.name}</strong>
              <span>{now.me.email}</span>
              <span class="tag">{t(`role.${now.me.role}` as Key)}</span>
            </div>
          )}
          <div class="menu-row">
            <span>{t("menu.theme")}</span>
            <ThemePicker />
          </div>
          <div class="menu-row">
            <span>{t("menu.language")}</span>
            <LanguagePicker />
          </div>
          {now.state === "in" && !changing && (
            <button type="button" class="button wide" onClick={() => setChanging(true)}>
              {t("menu.password")}
            </button>
          )}
          {now.state === "in" && changing && <PasswordForm close={() => setChanging(false)} />}
          {now.state === "in" && (
            <button type="button" class="button wide" onClick={() => void signOut().catch(() => undefined)}>
              {t("menu.signout")}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
