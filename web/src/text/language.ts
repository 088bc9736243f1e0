// The language of the page: the browser's, unless someone chose another.

import { en, type Key, type Words } from "./en";
import { pt } from "./pt";

export type Language = "en" | "pt";

const WORDS: Record<Language, Words> = { en, pt };
export const LANGUAGES: readonly (readonly [Language, string])[] = [
  ["en", "English"],
  ["pt", "Português"],
];

let current: Language = "en";

export function preferred(wanted: readonly string[]): Language {
  const first = wanted.find((tag) => /^(en|pt)\b/i.test(tag));
  return first?.toLowerCase().startsWith("pt") ? "pt" : "en";
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
  return WORDS[current][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}
