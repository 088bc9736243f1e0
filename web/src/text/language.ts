// The language of the page: the browser's, unless someone chose another. A browser loads the
// words of the one that it shows.

import type { Key, Words } from "./en";

export type Language = "en" | "pt";

const LOADERS: Record<Language, () => Promise<Words>> = {
  en: () => import("./en").then(({ en }) => en),
  pt: () => import("./pt").then(({ pt }) => pt),
};
const WORDS: Partial<Record<Language, Words>> = {};
export const LANGUAGES: readonly (readonly [Language, string])[] = [
  ["en", "English"],
  ["pt", "Português"],
];

let current: Language = "en";

export function preferred(wanted: readonly string[]): Language {
  const first = wanted.find((tag) => /^(en|pt)\b/i.test(tag));
  return first?.toLowerCase().startsWith("pt") ? "pt" : "en";
}

/** Before a language is used. */
export async function loadLanguage(language: Language): Promise<void> {
  WORDS[language] ??= await LOADERS[language]();
}

export function useLanguage(language: Language): void {
  current = language;
}

export function language(): Language {
  return current;
}

/** For numbers and dates. */
export function locale(): string {
  return current === "pt" ? "pt-BR" : "en-GB";
}

/** A text, with `{name}` replaced. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return (WORDS[current]?.[key] ?? key).replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** Whether there are words for what the server calls by a code. */
export const isKey = (text: string): text is Key => text in (WORDS[current] ?? {});
