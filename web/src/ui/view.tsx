// Views whose code is fetched when they are first opened, and what is shown when that
// fails or when a view breaks: never an empty page.

import { Component, type ComponentChildren, type FunctionComponent, type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { insist } from "../state/loading";
import { t } from "../text/language";
import { Failure, reason, Spinner } from "./basics";

type Shown<P> = { state: "loading" | "away" | "failed" } | { state: "there"; view: FunctionComponent<P> };

/** A view whose code comes when it is needed, however often that takes. */
export function lazyView<P extends object>(load: () => Promise<FunctionComponent<P>>): FunctionComponent<P> {
  let came: FunctionComponent<P> | null = null;
  return function Lazy(props: P): JSX.Element {
    const [shown, setShown] = useState<Shown<P>>(came ? { state: "there", view: came } : { state: "loading" });
    const [turn, setTurn] = useState(0);
    useEffect(() => {
      if (came) return;
      let gone = false;
      insist(load, { isGone: () => gone, away: () => setShown({ state: "away" }) }).then(
        (view) => {
          came = view;
          if (!gone) setShown({ state: "there", view });
        },
        (error: unknown) => {
          console.warn(error);
          if (!gone) setShown({ state: "failed" });
        },
      );
      return () => void (gone = true);
    }, [turn]);
    if (shown.state === "there") return <shown.view {...props} />;
    if (shown.state === "loading") return <Spinner />;
    const again = (): void => {
      setShown({ state: "loading" });
      setTurn(turn + 1);
    };
    return shown.state === "away" ? (
      <Failure text={t("view.away")} retry={again} />
    ) : (
      <Failure text={t("view.missing")} retry={() => location.reload()} />
    );
  };
}

interface Caught {
  error: unknown;
  broken: boolean;
}

/** Says that a view broke, and lets it be drawn again. */
export class Boundary extends Component<{ children: ComponentChildren }, Caught> {
  override state: Caught = { error: null, broken: false };

  static override getDerivedStateFromError(error: unknown): Caught {
    return { error, broken: true };
  }

  override componentDidCatch(error: unknown): void {
    console.error(error);
  }

  override render(): ComponentChildren {
    if (!this.state.broken) return this.props.children;
    const again = (): void => this.setState({ error: null, broken: false });
    return <Failure text={t("view.broken", { detail: reason(this.state.error) })} retry={again} />;
  }
}
