// The frame of a table: it scrolls where it is wider than the screen.

import type { ComponentChildren, JSX } from "preact";

/** The name of a column; of numbers it stands on the right, of actions it is heard alone. */
export type Head = string | { name: string; is: "number" | "actions" };

/** `stack` where a row becomes a card on a small screen. */
export function Table(props: {
  label: string;
  heads: readonly (Head | false)[];
  stack?: boolean;
  children: ComponentChildren;
}): JSX.Element {
  const heads = props.heads.filter((head) => head !== false);
  return (
    <div
      class={props.stack ? "table-scroll stack" : "table-scroll"}
      tabIndex={0}
      role="region"
      aria-label={props.label}
    >
      <table>
        <thead>
          <tr>
            {heads.map((head) => {
              const { name, is } = typeof head === "string" ? { name: head, is: null } : head;
              return (
                <th key={name} scope="col" class={is === "number" ? "number" : undefined}>
                  {is === "actions" ? <span class="hidden">{name}</span> : name}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </div>
  );
}
