// The API's documentation, drawn from its OpenAPI schema without scripts from other sites.

import { addressOf } from "../lib/address.js";
import { byId, element } from "../lib/elements.js";

/**
 * The parts of a JSON schema that this page draws.
 * @typedef {{$ref?: string, type?: string, format?: string, description?: string, const?: unknown, enum?: unknown[],
 *   anyOf?: Schema[], items?: Schema, additionalProperties?: Schema | boolean, properties?: Record<string, Schema>}} Schema
 */
/** @typedef {{content?: Record<string, {schema?: Schema}>}} Content */
/**
 * @typedef {{tags?: string[], description?: string, summary?: string, requestBody?: Content,
 *   responses: Record<string, Content>, parameters?: {name: string, in: string, schema: Schema}[]}} Route
 */

/** @type {{paths: Record<string, Record<string, Route>>, components: {schemas: Record<string, Schema>}}} */
const schema = await (await fetch(addressOf("/api/v1/openapi.json"))).json();
const models = schema.components.schemas;

for (const [path, methods] of Object.entries(schema.paths)) {
  for (const [method, route] of Object.entries(methods)) byId("routes").append(routeArticle(path, method, route));
}
for (const [name, model] of Object.entries(models).sort(([a], [b]) => a.localeCompare(b))) byId("models").append(modelArticle(name, model));
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();

/** @param {string} path @param {string} method @param {Route} route */
function routeArticle(path, method, route) {
  const title = element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path));
  if (route.tags?.includes("open")) title.append(" ", element("em", {}, "open"));
  const rows = [
    ...(route.parameters ?? []).map((given) => [given.name, `in ${given.in}`, typeOf(given.schema)]),
    ...bodyRows(route.requestBody),
  ];
  const answers = answerOf(route);
  return element("article", {}, title, element("p", {}, route.description ?? route.summary ?? ""), ...table(rows),
    ...(answers ? [element("p", { class: "answers" }, "Returns ", ...answers)] : []));
}

/** @param {string} name @param {Schema} model */
function modelArticle(name, model) {
  const rows = Object.entries(model.properties ?? {}).map(([field, type]) =>
    [field, type.description ? [...typeOf(type), `: ${type.description}`] : typeOf(type)]);
  return element("article", { id: name }, element("h3", {}, name), element("p", {}, model.description ?? ""), ...table(rows));
}

/** A table whose first column has names. @param {(string | (Node | string)[])[][]} rows */
function table(rows) {
  if (!rows.length) return [];
  const cells = rows.map(([name, ...rest]) => element("tr", {},
    element("td", {}, element("code", {}, ...[name].flat())), ...rest.map((cell) => element("td", {}, ...[cell].flat()))));
  return [element("table", {}, element("tbody", {}, ...cells))];
}

/** Fields of a request's body. @param {Content} [body] */
function bodyRows(body) {
  const [[type, { schema: given }] = ["", { schema: undefined }]] = Object.entries(body?.content ?? {});
  const found = given && withoutNull(given).map((each) => (each.$ref ? models[modelName(each.$ref)] : each))[0];
  return Object.entries(found?.properties ?? {}).map(([name, field]) => [
    name, type === "application/json" ? "in JSON" : "in form",
    field.description ? [...typeOf(field), `: ${field.description}`] : typeOf(field)]);
}

/** The successful answer of a route. @param {Route} route @returns {(Node | string)[] | null} null for nothing */
function answerOf(route) {
  const [, answer] = Object.entries(route.responses).find(([status]) => status.startsWith("2")) ?? [];
  const [[type, { schema: given }] = ["", { schema: undefined }]] = Object.entries(answer?.content ?? {});
  if (type === "application/json" && given) return typeOf(given);
  return type ? [type] : null;
}

/** @param {Schema} schema @returns {Schema[]} its alternatives except null */
function withoutNull(schema) {
  return (schema.anyOf ?? [schema]).filter((each) => each.type !== "null");
}

/** @param {string} reference */
function modelName(reference) {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

/** A type in words, models as links to their fields. @param {Schema} schema @returns {(Node | string)[]} */
function typeOf(schema) {
  return withoutNull(schema).flatMap((each, i) => [...(i ? [" or "] : []), ...plainTypeOf(each)]);
}

/** @param {Schema} schema @returns {(Node | string)[]} */
function plainTypeOf(schema) {
  if (schema.$ref) return [element("a", { href: `#${modelName(schema.$ref)}` }, modelName(schema.$ref))];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" or ")];
  if (schema.items) return ["list of ", ...typeOf(schema.items)];
  if (typeof schema.additionalProperties === "object") return ["map of names to ", ...typeOf(schema.additionalProperties)];
  return [schema.format ?? schema.type ?? ""];
}
