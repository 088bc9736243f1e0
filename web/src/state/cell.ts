// A value that tells when it changes: all the state management there is.

import { useEffect, useReducer } from "preact/hooks";

export class Cell<T> {
  private readonly listeners = new Set<() => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set(value: T): void {
    if (Object.is(value, this.current)) return;
    this.current = value;
    for (const listener of [...this.listeners]) listener();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
}

/** Renders again when the cell changes. */
export function useCell<T>(cell: Cell<T>): T {
  const [, again] = useReducer((n: number) => n + 1, 0);
  const value = cell.value;
  useEffect(() => {
    if (!Object.is(cell.value, value)) again(null as never);
    return cell.subscribe(() => again(null as never));
  }, [cell]);
  return value;
}
