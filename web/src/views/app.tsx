// What is shown depends on who is signed in; everything else is a view.

import type { JSX } from "preact";

import { language, session } from "../state/app";
import { useCell } from "../state/cell";
import { t } from "../text/language";
import { Empty, Spinner } from "../ui/basics";
import { Logo } from "../ui/icons";
import { Shell } from "./shell";
import { SignIn } from "./sign-in";

export function App({ enter }: { enter: () => Promise<void> }): JSX.Element {
  const now = useCell(session);
  // Another language is another page: everything is drawn again.
  const words = useCell(language);
  switch (now.state) {
    case "starting":
      return (
        <div class="splash">
          <Logo size={48} />
          <Spinner />
        </div>
      );
    case "out":
      return <SignIn key={words} enter={enter} ended={now.ended} />;
    case "bad-share":
      return (
        <main class="splash">
          <Logo size={48} />
          <Empty title={t("share.invalid")} />
        </main>
      );
    default:
      return <Shell key={words} />;
  }
}
