// The geofences beside the map: a list, and one that is drawn or changed.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { addGeofence, type Geofence, removeGeofence } from "../api/geofences";
import { boundsOf } from "../map/bounds";
import { fleetMap, isOperator, route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { type Imported, importedOf, MOST_IMPORTED } from "../state/fence-file";
import { allFences, fences, readFences, wantFences } from "../state/fences";
import { folded } from "../state/fleet";
import { live } from "../state/live";
import { extentOf, shapesOf } from "../state/shapes";
import { t } from "../text/language";
import { sizeOf } from "../text/shapes";
import { Empty, Failure, reason, Spinner, Told, useAttempt } from "../ui/basics";
import { Icon } from "../ui/icons";
import { AlarmTabs } from "./alarm-tabs";
import { FenceEditor } from "./fence-editor";

/** What is drawn next, from a file. */
interface Start {
  imported: Imported | null;
}

export function FencesTab(): JSX.Element {
  const { query } = useCell(route);
  const known = useCell(fences);
  const [start, setStart] = useState<Start>({ imported: null });
  useEffect(wantFences, []);
  const all = allFences(known);
  const edited = query.edit === "new" ? null : all.find(({ id }) => String(id) === query.edit);
  const isEditing = query.edit === "new" || Boolean(edited);
  const close = (id: number | null): void => {
    setStart({ imported: null });
    tune({ edit: null, fence: id === null ? null : String(id) });
  };
  return (
    <div class="alarms">
      <h1 class="hidden">{t("fences")}</h1>
      <AlarmTabs current="fences" />
      {isEditing ? (
        <FenceEditor key={query.edit} fence={edited ?? null} imported={start.imported} close={close} />
      ) : (
        <List
          all={all}
          open={(imported) => {
            setStart({ imported });
            tune({ edit: "new", fence: null });
          }}
        />
      )}
      {known.state === "failed" && <Failure text={reason(known.error)} retry={() => void readFences()} />}
      {(known.state === "reading" || known.state === "unread") && <Spinner />}
    </div>
  );
}

function List({ all, open }: { all: readonly Geofence[]; open: (imported: Imported | null) => void }): JSX.Element {
  const { query } = useCell(route);
  const known = useCell(fences);
  const [text, setText] = useState("");
  const chosen = all.find(({ id }) => String(id) === query.fence) ?? null;
  useSight(all, chosen);
  const words = folded(text.trim());
  const shown = all.filter(({ name }) => folded(name).includes(words));
  return (
    <>
      <div class="fence-bar">
        <label class="search">
          <Icon name="search" size={16} />
          <span class="hidden">{t("fences.search")}</span>
          <input
            type="search"
            placeholder={t("fences.search")}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <button type="button" class="button primary" onClick={() => open(null)}>
          <Icon name="plus" size={16} />
          {t("fences.new")}
        </button>
        <Import open={open} />
      </div>
      {known.state === "read" && all.length === 0 && <Empty title={t("fences.none")} hint={t("fences.none.hint")} />}
      {all.length > 0 && shown.length === 0 && <Empty title={t("fences.none.match")} />}
      <ul class="alarm-list" aria-label={t("fences")}>
        {shown.map((fence) => (
          <Line key={fence.id} fence={fence} isChosen={fence === chosen} />
        ))}
      </ul>
    </>
  );
}

/** The chosen one in sight; at first all of them, or the fleet where there are none. */
function useSight(all: readonly Geofence[], chosen: Geofence | null): void {
  const map = useCell(fleetMap);
  const source = useCell(live);
  const seen = useRef(false);
  useEffect(() => {
    if (!map) return;
    const shapes = (chosen ? [chosen] : all).flatMap(({ area }) => shapesOf(area));
    if (!chosen && seen.current) return;
    const box = boundsOf(shapes.length > 0 ? extentOf(shapes) : (source?.fleet.units.values() ?? []));
    if (!box) return;
    map.fit(box, { maxZoom: 16, animate: seen.current });
    seen.current = true;
  }, [map, chosen?.id, all.length]);
}

function Line({ fence, isChosen }: { fence: Geofence; isChosen: boolean }): JSX.Element {
  const [failed, attempt] = useAttempt();
  const line = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isChosen) line.current?.scrollIntoView({ block: "nearest" });
  }, [isChosen]);
  const remove = (): void => {
    if (!confirm(t("fence.delete.confirm", { name: fence.name }))) return;
    void attempt(async () => {
      await removeGeofence(fence.id);
      tune({ fence: null });
      await readFences();
    });
  };
  return (
    <li ref={line} class="alarm is-fence">
      <button
        type="button"
        class="alarm-head"
        aria-expanded={isChosen}
        onClick={() => tune({ fence: isChosen ? null : String(fence.id) })}
      >
        <span class="alarm-mark">
          <Icon name="fence" size={20} />
        </span>
        <span class="unit-main">
          <span class="unit-name">{fence.name}</span>
          <span class="unit-sub">{sizeOf(shapesOf(fence.area))}</span>
        </span>
        {!fence.shared && <span class="tag">{t("alarms.own")}</span>}
      </button>
      {isChosen && (
        <div class="alarm-detail">
          {fence.editable ? (
            <div class="alarm-ways">
              <button type="button" class="button small" onClick={() => tune({ edit: String(fence.id) })}>
                {t("admin.edit")}
              </button>
              <button type="button" class="button small danger" onClick={remove}>
                {t("admin.delete")}
              </button>
            </div>
          ) : (
            <p class="why">{t("fence.foreign")}</p>
          )}
          {failed && <Failure text={failed} />}
        </div>
      )}
    </li>
  );
}

/** One fence of a file is looked at before it is saved; several are saved as they are. */
function Import({ open }: { open: (imported: Imported) => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [failed, , fail] = useAttempt();
  const [told, setTold] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const saveAll = async (found: Imported[]): Promise<void> => {
    if (!confirm(t("fences.import.confirm", { count: found.length }))) return;
    setBusy(true);
    const faults: string[] = [];
    for (const { name, area } of found) {
      try {
        await addGeofence({ name, area, shared: isOperator() });
      } catch (error) {
        faults.push(`${name}: ${reason(error)}`);
      }
    }
    setBusy(false);
    setTold(t("fences.import.done", { count: found.length - faults.length }));
    if (faults.length > 0) fail(faults.slice(0, 5).join(" "));
    await readFences();
  };
  const take = async (file: File | undefined): Promise<void> => {
    setTold(null);
    if (!file) return;
    const found = importedOf(await file.text(), file.name);
    if (typeof found === "string") return fail(t(`fences.import.${found}`, { count: MOST_IMPORTED }));
    if (found.length === 1) open(found[0]!);
    else await saveAll(found);
  };
  return (
    <>
      <button type="button" class="button" disabled={busy} onClick={() => input.current?.click()}>
        {t("fences.import")}
      </button>
      <input
        ref={input}
        type="file"
        accept=".json,.geojson,application/geo+json,application/json"
        class="hidden"
        tabIndex={-1}
        aria-label={t("fences.import")}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          void take(file);
          event.currentTarget.value = "";
        }}
      />
      {told && <Told text={told} />}
      {failed && <Failure text={failed} />}
    </>
  );
}
