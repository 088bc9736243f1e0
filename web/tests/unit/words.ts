// Words of all languages, before any test asks for some.

import { LANGUAGES, loadLanguage } from "../../src/text/language";

await Promise.all(LANGUAGES.map(([language]) => loadLanguage(language)));
