// A list of any length that holds only the rows in sight. Arrow keys, Home and
// End move through it, Enter opens; it is one stop on the way of the Tab key.

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows beyond the edges, so that scrolling does not show gaps. */
const SPARE = 6;

export interface VirtualListProps<T> {
  items: readonly T[];
  rowHeight: number;
  label: string;
  idOf: (item: T) => string;
  selected: string | null;
  /** The row that the keyboard begins on, in sight. */
  start?: string | null;
  onOpen: (item: T) => void;
  row: (item: T) => JSX.Element;
}

export function windowOf(
  scrollTop: number,
  height: number,
  rowHeight: number,
  count: number,
): [first: number, end: number] {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - SPARE);
  const end = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + SPARE);
  return [Math.min(first, end), end];
}

export function VirtualList<T>(props: VirtualListProps<T>): JSX.Element {
  const { items, rowHeight, idOf } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const [active, setActive] = useState<string | null>(props.start ?? null);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = (): void => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    const begin = items.findIndex((item) => idOf(item) === props.start);
    if (begin >= 0) element.scrollTop = (begin + 0.5) * rowHeight - element.clientHeight / 2;
    measure();
    return () => observer.disconnect();
  }, []);

  const [first, end] = windowOf(view.top, view.height, rowHeight, items.length);
  const activeIndex = active === null ? -1 : items.findIndex((item) => idOf(item) === active);

  useEffect(() => {
    if (active !== null && activeIndex < 0) setActive(null);
  }, [active, activeIndex]);

  const moveTo = (index: number): void => {
    const to = Math.max(0, Math.min(items.length - 1, index));
    const item = items[to];
    const element = box.current;
    if (!item || !element) return;
    setActive(idOf(item));
    const top = to * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    const bottom = top + rowHeight - element.clientHeight;
    if (bottom > element.scrollTop) element.scrollTop = bottom;
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 1);
    const steps: Record<string, number> = {
      ArrowDown: activeIndex + 1,
      ArrowUp: activeIndex < 0 ? 0 : activeIndex - 1,
      PageDown: activeIndex + page,
      PageUp: activeIndex - page,
      Home: 0,
      End: items.length - 1,
    };
    const to = steps[event.key];
    if (to !== undefined) {
      event.preventDefault();
      moveTo(to);
    } else if ((event.key === "Enter" || event.key === " ") && activeIndex >= 0) {
      event.preventDefault();
      props.onOpen(items[activeIndex]!);
    }
  };

  return (
    <div
      class="vlist"
      ref={box}
      role="listbox"
      aria-label={props.label}
      aria-activedescendant={activeIndex >= first && activeIndex < end ? `row-${active}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onScroll={() => box.current && setView({ top: box.current.scrollTop, height: box.current.clientHeight })}
    >
      <div class="vlist-all" role="presentation" style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(first, end).map((item, index) => {
          const id = idOf(item);
          return (
            <div
              key={id}
              id={`row-${id}`}
              role="option"
              aria-selected={props.selected === id}
              class={`vlist-row${active === id ? " is-active" : ""}${props.selected === id ? " is-selected" : ""}`}
              style={{
                transform: `translateY(${(first + index) * rowHeight}px)`,
                height: `${rowHeight}px`,
              }}
              aria-posinset={first + index + 1}
              aria-setsize={items.length}
              onClick={() => props.onOpen(item)}
            >
              {props.row(item)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
