// A frame's bytes, field by field: the digits in their groups, and what each means.

import type { JSX } from "preact";

import { decode, type Part, type PartValue } from "../state/decode";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Time } from "../ui/basics";

function Meaning({ value }: { value: PartValue }): JSX.Element | null {
  switch (value.kind) {
    case "none":
      return null;
    case "text":
      return <>{value.text}</>;
    case "moment":
      return <Time ms={value.ms} />;
    case "degrees":
      return <>{format.heading(value.degrees)}</>;
    case "metres":
      return <>{`${format.count(value.metres)} m`}</>;
    case "minutes":
      return <>{`${format.count(value.minutes)} min`}</>;
    case "speed":
      return <>{format.speed(value.kmh)}</>;
    case "coordinate":
      return <>{`${value.degrees.toFixed(6)}°`}</>;
    case "flags":
      return (
        <>
          {[
            t(value.fix ? "decode.fix" : "decode.nofix"),
            t(value.ignition ? "fleet.ignition.on" : "fleet.ignition.off"),
            t(value.historical ? "frame.historical" : "decode.live"),
          ].join(" · ")}
        </>
      );
  }
}

export function FrameBytes({ hex }: { hex: string }): JSX.Element {
  const parts: Part[] | null = decode(hex);
  if (!parts) return <code class="bytes">{hex}</code>;
  return (
    <div class="decoded">
      <p class="decoded-hex" aria-hidden="true">
        {parts.map((part) => (
          <code key={part.offset} class={`part part-${part.name}`} title={t(`decode.${part.name}` as Key)}>
            {part.hex}
          </code>
        ))}
      </p>
      <table>
        <caption class="hidden">{t("frame.fields")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("decode.byte")}</th>
            <th scope="col">{t("decode.field")}</th>
            <th scope="col">{t("col.bytes")}</th>
            <th scope="col">{t("decode.meaning")}</th>
          </tr>
        </thead>
        <tbody>
          {parts.map((part) => (
            <tr key={part.offset}>
              <td class="decoded-offset">{part.offset}</td>
              <th scope="row">{t(`decode.${part.name}` as Key)}</th>
              <td>
                <code class={`part part-${part.name}`}>{part.hex}</code>
              </td>
              <td>
                <Meaning value={part.value} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
