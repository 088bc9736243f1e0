// One geofence: drawn on the map, or typed as coordinates, which comes to the same.

import type { JSX } from "preact";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";

import { addGeofence, changeGeofence, type Geofence } from "../api/geofences";
import { boundsOf } from "../map/bounds";
import { fleetMap, isOperator } from "../state/app";
import { useCell } from "../state/cell";
import { type Act, type Drawing, draw, drawingOf, newDrawing } from "../state/drawing";
import type { Imported } from "../state/fence-file";
import { readFences } from "../state/fences";
import {
  areaOf,
  coordinatesText,
  extentOf,
  faultOf,
  LEAST_METRES,
  MOST_METRES,
  SHAPE_KINDS,
  shapeOf,
  shapesOf,
  typedCoordinates,
} from "../state/shapes";
import { t } from "../text/language";
import { sizeOf } from "../text/shapes";
import { Failure, useAttempt } from "../ui/basics";
import { Icon } from "../ui/icons";

const MOST_NAME = 100;

interface EditorProps {
  /** `null` is a new one. */
  fence: Geofence | null;
  imported: Imported | null;
  /** With the number of what was saved. */
  close: (id: number | null) => void;
}

/** What it begins with; `null` is an area that cannot be drawn by hand. */
function begin({ fence, imported }: EditorProps): Drawing | null {
  const area = fence?.area ?? imported?.area;
  if (!area) return newDrawing("polygon");
  const shape = shapeOf(area);
  return shape && drawingOf(shape);
}

export function FenceEditor(props: EditorProps): JSX.Element {
  const { fence, imported, close } = props;
  const [start] = useState(() => begin(props));
  const [drawing, act] = useReducer(draw, start ?? newDrawing("polygon"));
  const [name, setName] = useState(fence?.name ?? imported?.name ?? "");
  const [shared, setShared] = useState(fence?.shared ?? isOperator());
  const [busy, setBusy] = useState(false);
  const [failed, attempt, fail] = useAttempt();
  const isChanged = drawing.past.length > 0 || name !== (fence?.name ?? imported?.name ?? "");
  const leave = (): void => {
    if (!isChanged || confirm(t("fence.leave"))) close(fence?.id ?? null);
  };
  useOnMap(start === null ? null : drawing, act, fence?.area ?? imported?.area ?? null);
  useKeys(drawing, act, leave);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const fault = start === null ? null : faultOf(drawing.shape);
    if (fault) return fail(t(`fence.fault.${fault}`));
    setBusy(true);
    const area = start === null ? (fence?.area ?? imported!.area) : areaOf(drawing.shape);
    const body = { name: name.trim(), area, shared };
    const saved = await attempt(() => (fence ? changeGeofence(fence.id, body) : addGeofence(body)));
    setBusy(false);
    if (!saved) return;
    await readFences();
    close(saved.id);
  };
  return (
    <form class="fence-form" aria-label={t(fence ? "fence.edit" : "fences.new")} onSubmit={(event) => void save(event)}>
      <h2>{t(fence ? "fence.edit" : "fences.new")}</h2>
      <label class="field">
        <span>{t("admin.name")}</span>
        <input
          required
          maxLength={MOST_NAME}
          autocomplete="off"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      {start === null ? (
        <p class="notice">{t("fence.several.hint")}</p>
      ) : (
        <Drawn drawing={drawing} act={act} isNew={fence === null && imported === null} />
      )}
      {isOperator() && fence === null && (
        <label class="check">
          <input type="checkbox" checked={shared} onChange={(event) => setShared(event.currentTarget.checked)} />
          <span>
            {t("alarms.shared")} <small>{t("alarms.shared.hint")}</small>
          </span>
        </label>
      )}
      {failed && <Failure text={failed} />}
      <div class="form-end">
        <button type="submit" class="button primary" disabled={busy}>
          {t("admin.save")}
        </button>
        <button type="button" class="button" onClick={leave}>
          {t("admin.cancel")}
        </button>
      </div>
    </form>
  );
}

/** The shape on the map, in sight at first. */
function useOnMap(drawing: Drawing | null, act: (act: Act) => void, area: Geofence["area"] | null): void {
  const map = useCell(fleetMap);
  useEffect(() => {
    map?.overlay.setDrawing(drawing, act);
  }, [map, drawing]);
  useEffect(() => {
    if (!map) return;
    const box = area && boundsOf(extentOf(shapesOf(area)));
    if (box) map.fit(box, { maxZoom: 16 });
    map.dimFleet(true);
    return () => {
      map.overlay.setDrawing(null, null);
      map.dimFleet(false);
    };
  }, [map]);
}

/** Escape ends what was begun, then leaves; Ctrl+Z goes back; Delete takes the chosen corner. */
function useKeys(drawing: Drawing, act: (act: Act) => void, leave: () => void): void {
  const now = useRef({ drawing, leave });
  now.current = { drawing, leave };
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const { drawing: shown } = now.current;
      const isField = (event.target as Element).closest?.("input, select, textarea") !== null;
      if (event.key === "Escape" && !event.defaultPrevented) {
        event.preventDefault();
        if (shown.isAdding && shown.shape.rings[0]!.length > 0) act({ do: faultOf(shown.shape) ? "clear" : "finish" });
        else now.current.leave();
      } else if (isField) {
        return;
      } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        act({ do: "undo" });
      } else if ((event.key === "Delete" || event.key === "Backspace") && shown.chosen) {
        event.preventDefault();
        act({ do: "remove", corner: shown.chosen });
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

function Drawn({ drawing, act, isNew }: { drawing: Drawing; act: (act: Act) => void; isNew: boolean }): JSX.Element {
  const { shape, isAdding, past } = drawing;
  const fault = faultOf(shape);
  return (
    <>
      {isNew && (
        <div class="segmented" role="group" aria-label={t("fence.kind")}>
          {SHAPE_KINDS.map((kind) => (
            <button
              type="button"
              key={kind}
              aria-pressed={kind === shape.kind}
              onClick={() => act({ do: "kind", kind })}
            >
              {t(`fence.kind.${kind}`)}
            </button>
          ))}
        </div>
      )}
      <p class="why">
        {t(isAdding ? `fence.draw.${shape.kind}` : shape.kind === "circle" ? "fence.move.circle" : "fence.move")}
      </p>
      {shape.kind !== "polygon" && <Metres drawing={drawing} act={act} />}
      <div class="alarm-ways">
        <button type="button" class="button small" disabled={past.length === 0} onClick={() => act({ do: "undo" })}>
          <Icon name="undo" size={15} />
          {t("fence.undo")}
        </button>
        <button
          type="button"
          class="button small"
          disabled={shape.rings[0]!.length === 0}
          onClick={() => act({ do: "clear" })}
        >
          {t("fence.clear")}
        </button>
        {isAdding && fault === null && shape.kind !== "circle" && (
          <button type="button" class="button small" onClick={() => act({ do: "finish" })}>
            <Icon name="check" size={15} />
            {t("fence.finish")}
          </button>
        )}
        {!isAdding && shape.kind === "corridor" && (
          <button type="button" class="button small" onClick={() => act({ do: "go-on" })}>
            {t("fence.go-on")}
          </button>
        )}
      </div>
      <p class={fault === "crosses" ? "why is-bad" : "why"} role="status">
        {fault === "crosses" ? t("fence.fault.crosses") : t("fence.corners", { count: shape.rings.flat().length })}
        {fault === null && ` · ${sizeOf([shape])}`}
      </p>
      <Coordinates drawing={drawing} act={act} />
    </>
  );
}

function Metres({ drawing, act }: { drawing: Drawing; act: (act: Act) => void }): JSX.Element {
  const { kind, metres } = drawing.shape;
  return (
    <label class="field metres">
      <span>{t(kind === "circle" ? "fence.radius" : "fence.width")}</span>
      <input
        type="number"
        required
        min={LEAST_METRES}
        max={MOST_METRES}
        step="any"
        value={metres}
        onChange={(event) => {
          const typed = event.currentTarget.valueAsNumber;
          if (Number.isFinite(typed)) act({ do: "metres", metres: typed });
        }}
      />
    </label>
  );
}

/** The same shape as text: for who cannot use the pointer, and for coordinates from elsewhere. */
function Coordinates({ drawing, act }: { drawing: Drawing; act: (act: Act) => void }): JSX.Element {
  const { shape } = drawing;
  const [typed, setTyped] = useState<string | null>(null);
  const read = typed === null ? null : typedCoordinates(typed);
  const fault = read && "line" in read ? read.line : null;
  const take = (): void => {
    if (read && "rings" in read) {
      const rings = shape.kind === "circle" ? [read.rings[0]!.slice(0, 1)] : read.rings;
      act({ do: "replace", shape: { ...shape, rings } });
      const box = boundsOf(extentOf([{ ...shape, rings }]));
      if (box) fleetMap.value?.fit(box, { maxZoom: 16 });
      setTyped(null);
    }
  };
  return (
    <details class="fence-text">
      <summary>{t("fence.text")}</summary>
      <label class="field">
        <span>{t(shape.kind === "circle" ? "fence.text.circle" : "fence.text.hint")}</span>
        <textarea
          class="mono"
          rows={Math.min(12, Math.max(4, shape.rings.flat().length + 1))}
          spellcheck={false}
          aria-invalid={fault !== null}
          value={typed ?? coordinatesText(shape)}
          onInput={(event) => setTyped(event.currentTarget.value)}
          onBlur={take}
        />
      </label>
      {fault !== null && <p class="form-error">{t("fence.text.fault", { line: fault })}</p>}
    </details>
  );
}
