// The API's page, drawn from its own OpenAPI schema: no script from elsewhere.

import { byId, element } from "../lib/elements.js";

const schema = await (await fetch("/api/v1/openapi.json")).json();

for (const [path, methods] of Object.entries(schema.paths)) {
  for (const [method, route] of Object.entries(methods)) byId("routes").append(article(path, method, route));
}

/** @param {string} path @param {string} method @param {any} route */
function article(path, method, route) {
  const open = route.tags?.includes("open");
  const title = element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path));
  if (open) title.append(" ", element("em", {}, "open"));
  const rows = [
    ...(route.parameters ?? []).map((given) => [given.name, `in ${given.in}`, kind(given.schema)]),
    ...fields(route.requestBody),
  ];
  const table = element("table", {}, element("tbody", {}, ...rows.map((cells) =>
    element("tr", {}, ...cells.map((cell, i) => element("td", {}, i === 0 ? element("code", {}, cell) : cell))))));
  return element("article", {}, title, element("p", {}, route.description ?? route.summary ?? ""), ...(rows.length ? [table] : []));
}

/** Fields of a request's body. @param {any} body @returns {string[][]} */
function fields(body) {
  if (!body) return [];
  const [[type, { schema: given }]] = Object.entries(body.content);
  const found = given.$ref ? schema.components.schemas[given.$ref.split("/").pop()] : given;
  return Object.entries(found.properties ?? {}).map(([name, field]) => [
    name, type === "application/json" ? "in JSON" : "in form", [kind(field), field.description].filter(Boolean).join(": ")]);
}

/** @param {any} field */
function kind(field) {
  return (field?.anyOf ?? [field]).map((each) => each?.format ?? each?.type ?? "").filter((each) => each !== "null").join(" or ");
}
