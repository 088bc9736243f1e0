// What to do when the code of a view does not come: the server may be away, or it was
// upgraded and the names that this page knows are gone. The decision is pure.

/** How the server stands. */
export type Probe = { state: "away" } | { state: "there"; entry: string | null };

/** Waits for the server, tries again at once, loads the page anew, or tells the reader. */
export type Step = "wait" | "again" | "reload" | "tell";

/** A browser may remember that a script did not come; a second attempt shows it. */
const ATTEMPTS = 2;

/**
 * After a view's code failed to load for the `attempt`th time in a row (from 1). `own` is
 * the script that this page began with, `reloaded` whether loading anew was tried for it.
 */
export function afterFailure(attempt: number, probe: Probe, own: string | null, reloaded: boolean): Step {
  if (probe.state === "away") return "wait";
  const upgraded = probe.entry !== null && probe.entry !== own;
  if (!upgraded && attempt < ATTEMPTS) return "again";
  return reloaded ? "tell" : "reload";
}

/** The script that a page begins with, by its text. */
export function entryOf(html: string): string | null {
  return /<script\b[^>]*\btype="module"[^>]*\bsrc="([^"]+)"/.exec(html)?.[1] ?? null;
}

const PROBED_WITHIN_MS = 5_000;

/** Asks the server for its page. */
export async function probe(): Promise<Probe> {
  try {
    const response = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(PROBED_WITHIN_MS) });
    return response.ok ? { state: "there", entry: entryOf(await response.text()) } : { state: "away" };
  } catch {
    return { state: "away" };
  }
}

const ownEntry = (): string | null => document.querySelector('script[type="module"][src]')?.getAttribute("src") ?? null;

/** In the tab's own memory: a page that was loaded anew and failed again does not do so for ever. */
const RELOADED = "nemeses-reloaded";

const wasReloaded = (): boolean => sessionStorage.getItem(RELOADED) !== null;

/** Asked again this often while the server is away. */
const AGAIN_MS = 2_000;

export interface Insisting {
  isGone(): boolean;
  /** The server is away; it goes on trying. */
  away(): void;
  /** It comes with every page: that it came says nothing of the view that did not. */
  isOfEvery?: boolean;
  /** No attempt can mend it. */
  isFinal?(error: unknown): boolean;
}

/** Loads until it is there or nobody wants it; rejects when that is no matter of time. */
export async function insist<T>(load: () => Promise<T>, { isGone, away, isOfEvery, isFinal }: Insisting): Promise<T> {
  for (let failures = 1; ; ) {
    try {
      const loaded = await load();
      // Loading the page anew is a way out again.
      if (!isOfEvery) sessionStorage.removeItem(RELOADED);
      return loaded;
    } catch (error) {
      if (isFinal?.(error)) throw error;
      const step = afterFailure(failures, await probe(), ownEntry(), wasReloaded());
      if (isGone() || step === "tell") throw error;
      if (step === "again") failures += 1;
      if (step === "reload") {
        sessionStorage.setItem(RELOADED, "1");
        location.reload();
      }
      if (step === "wait" || step === "reload") {
        away();
        // A server that is away says nothing of the code: the count stays.
        await new Promise((done) => setTimeout(done, AGAIN_MS));
        if (isGone()) throw error;
      }
    }
  }
}
