// Lists the routes of /openapi.json and sends requests to this server. Values are
// only ever put in as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
// Of an answer; more would stall the page.
const LONGEST_SHOWN = 100000;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const token = () => document.getElementById("token").value.trim();

function resolved(spec, value) {
  const path = value.$ref?.replace("#/", "").split("/");
  return path ? path.reduce((part, name) => part[name], spec) : value;
}

function form(schema) {
  if (schema.anyOf) return schema.anyOf.map(form).join(" or ");
  const bounds = [];
  if (schema.enum) return schema.enum.join(", ");
  if (schema.minimum !== undefined) bounds.push(`from ${schema.minimum}`);
  if (schema.maximum !== undefined) bounds.push(`to ${schema.maximum}`);
  if (schema.maxLength !== undefined) bounds.push(`at most ${schema.maxLength} characters`);
  if (schema.default !== undefined && schema.default !== null) bounds.push(`default ${schema.default}`);
  return [schema.format ?? schema.type ?? "any", ...bounds].join(" ");
}

function parameterRow(parameter) {
  let input;
  if (parameter.schema.enum) {
    input = element("select", {}, ...["", ...parameter.schema.enum].map((word) => element("option", { value: word }, word)));
  } else {
    const example = parameter.example ?? "";
    input = element("input", { placeholder: example, value: parameter.required ? example : "" });
  }
  input.name = parameter.name;
  input.setAttribute("aria-label", parameter.name);
  const name = element("td", {}, element("code", {}, parameter.name), parameter.required ? " *" : "");
  const about = element("td", {}, parameter.description ?? "", element("br"), element("small", {}, `${parameter.in}: ${form(parameter.schema)}`));
  return { parameter, input, row: element("tr", {}, name, element("td", {}, input), about) };
}

function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, answer]) =>
    element("tr", {}, element("td", {}, status), element("td", {}, answer.description), element("td", {}, Object.keys(answer.content ?? {}).join(", "))));
  return element("table", {}, ...rows);
}

async function send(method, path, rows, body, shown) {
  const query = new URLSearchParams();
  const headers = {};
  let target = path;
  for (const { parameter, input } of rows) {
    if (input.value === "") continue;
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "header") headers[parameter.name] = input.value;
    else query.set(parameter.name, input.value);
  }
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (body) headers["Content-Type"] = "application/json";
  const url = query.size ? `${target}?${query}` : target;
  shown.textContent = `${method} ${url} …`;
  const begun = performance.now();
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 15000);
  try {
    const answer = await fetch(url, { method, headers, body: body?.value, signal: stop.signal, redirect: "error" });
    let text = "";
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let read; reader && text.length < LONGEST_SHOWN && !(read = await reader.read()).done;) {
      text += read.value;
      shown.textContent = `${method} ${url}\n${answer.status} ${answer.statusText}\n\n${text.slice(0, LONGEST_SHOWN)}`;
    }
    if (text.length >= LONGEST_SHOWN) stop.abort();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* Not JSON, or cut. */ }
    const took = Math.round(performance.now() - begun);
    const kind = answer.headers.get("content-type") ?? "no body";
    shown.textContent = `${method} ${url}\n${answer.status} ${answer.statusText}, ${kind}, ${took} ms\n\n${text.slice(0, LONGEST_SHOWN)}`;
  } catch (error) {
    shown.textContent += `\n\nEnded: ${error.message}`;
  } finally {
    clearTimeout(timer);
  }
}

function inside(spec, path, method, operation) {
  const rows = (operation.parameters ?? []).map((each) => parameterRow(resolved(spec, each)));
  const wanted = operation.requestBody?.content?.["application/json"];
  const body = wanted && element("textarea", { value: JSON.stringify(wanted.example, null, 2), spellcheck: false });
  const shown = element("pre", {});
  const button = element("button", { type: "button" }, "Send");
  button.addEventListener("click", () => send(method, path, rows, body, shown));
  const parts = [element("p", {}, operation.description ?? "")];
  if (rows.length) parts.push(element("table", {}, ...rows.map((row) => row.row)));
  if (body) parts.push(element("label", {}, "Body", body));
  parts.push(button, shown, element("h3", {}, "Answers"), answers(operation));
  return element("div", { className: "inside" }, ...parts);
}

function route(spec, path, method, operation) {
  const name = method.toUpperCase();
  const made = element("details", {}, element("summary", {},
    element("span", { className: `method ${name}` }, name), element("code", {}, path), element("span", {}, operation.summary)));
  made.dataset.words = `${name} ${path} ${operation.summary}`.toLowerCase();
  made.addEventListener("toggle", () => made.append(inside(spec, path, name, operation)), { once: true });
  return made;
}

async function show() {
  const spec = await (await fetch("/openapi.json")).json();
  document.getElementById("about").textContent = `${spec.info.title} ${spec.info.version}. ${spec.info.description}`;
  const routes = document.getElementById("routes");
  for (const { name } of spec.tags) {
    const mine = Object.entries(spec.paths).flatMap(([path, operations]) =>
      METHODS.filter((method) => operations[method]?.tags.includes(name)).map((method) => route(spec, path, method, operations[method])));
    if (mine.length) routes.append(element("section", {}, element("h2", {}, name), ...mine));
  }
}

document.getElementById("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(event.target));
  const answer = await fetch("/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields) });
  const said = await answer.json();
  if (answer.ok) document.getElementById("token").value = said.token;
  document.getElementById("signed").textContent = answer.ok ? "Signed in." : said.detail;
});

document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const each of document.querySelectorAll("details")) each.hidden = !each.dataset.words.includes(wanted);
});

show().catch((error) => { document.getElementById("about").textContent = `The description cannot be read: ${error.message}`; });
