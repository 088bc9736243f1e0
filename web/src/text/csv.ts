// Comma separated values (RFC 4180), as spreadsheets of the reader's language open them.

export type Cell = string | number | null;

export interface Style {
  separator: "," | ";";
  decimal: "." | ",";
}

export const PLAIN: Style = { separator: ",", decimal: "." };
/** Where the comma is the decimal sign, lists are written with semicolons. */
const WITH_COMMAS: Style = { separator: ";", decimal: "," };

export const styleOf = (language: string): Style => (language === "pt" ? WITH_COMMAS : PLAIN);

/** The CSV that a spreadsheet of the reader's language opens in columns. */
export const csvFormat = (language: string): string => (language === "pt" ? "csv-semicolon" : "csv-excel");

/** Spreadsheets take a file without it for one of another century. */
export const BYTE_ORDER_MARK = "\ufeff";

/** A text that a spreadsheet would take for a formula is made one for people. */
function cell(value: Cell, { decimal }: Style): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value).replace(".", decimal);
  const text = /^[=+@\t\r]|^-(?!\d)/.test(value) ? `'${value}` : value;
  return /[",;\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvOf(rows: readonly (readonly Cell[])[], style: Style = PLAIN): string {
  return rows.map((row) => `${row.map((value) => cell(value, style)).join(style.separator)}\r\n`).join("");
}
