// What an exported function with a `schema` is to a model, and whether the arguments of a call fit.

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const SHOWN = 100;

// Arguments of a call that do not fit the function; says which and why, for the model to read.
export class BadArgument extends Error {}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// A function's schema as a tool of a chat request has it; throws an Error that says why it cannot be one.
export function toolOf(name, schema) {
  if (!NAME.test(name)) throw new Error("its name is not made of the letters A to Z, digits and '_', 64 at most");
  if (!isObject(schema)) throw new Error("its schema is no object");
  const { description, parameters = { type: "object", properties: {}, additionalProperties: false } } = schema;
  if (typeof description !== "string" || !description.trim()) {
    throw new Error("its schema has no `description`, which tells the model what it does");
  }
  if (!isObject(parameters) || parameters.type !== "object") {
    throw new Error('the `parameters` of its schema are no JSON schema of the type "object"');
  }
  JSON.stringify(parameters); // one that holds itself cannot be told
  return { name, description, parameters };
}

// What the function is called with, out of what the model wrote.
export function argumentsOf(text, parameters) {
  let given;
  try {
    given = JSON.parse(text || "{}");
  } catch (error) {
    throw new BadArgument(`the arguments are no JSON: ${error.message}`);
  }
  if (!isObject(given)) throw new BadArgument("the arguments are no JSON object");
  check(parameters, given, "the arguments");
  return given;
}

function shown(value) {
  const text = JSON.stringify(value);
  return text.length <= SHOWN ? text : text.slice(0, SHOWN) + "…";
}

function isOf(type, value) {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

// Holds a value to what a schema says of types, choices and fields; other words of JSON schema are not looked at.
function check(schema, value, place) {
  if (!isObject(schema)) return;
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length && !types.some((type) => isOf(type, value))) {
    throw new BadArgument(`${place} is ${shown(value)}, and must be of the type ${types.join(" or ")}`);
  }
  const same = (one) => JSON.stringify(one) === JSON.stringify(value);
  if (Array.isArray(schema.enum) && !schema.enum.some(same)) {
    throw new BadArgument(`${place} is ${shown(value)}, and must be one of ${shown(schema.enum)}`);
  }
  if (schema.const !== undefined && !same(schema.const)) {
    throw new BadArgument(`${place} is ${shown(value)}, and must be ${shown(schema.const)}`);
  }
  for (const any of [schema.anyOf, schema.oneOf]) {
    if (Array.isArray(any) && !any.some((one) => fits(one, value, place))) {
      throw new BadArgument(`${place} is ${shown(value)}, which is none of the types that it may have`);
    }
  }
  if (Array.isArray(value)) value.forEach((one, at) => check(schema.items, one, `${place}[${at}]`));
  if (isObject(value)) checkFields(schema, value, place);
}

function checkFields(schema, value, place) {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(value, name));
  if (missing.length) throw new BadArgument(`${place} must have ${missing.join(", ")}`);
  for (const [name, one] of Object.entries(value)) {
    if (Object.hasOwn(properties, name)) check(properties[name], one, name);
    else if (schema.additionalProperties === false) {
      const allowed = Object.keys(properties).join(", ") || "none";
      throw new BadArgument(`${place} must not have ${shown(name)}; allowed are ${allowed}`);
    } else check(schema.additionalProperties, one, name);
  }
}

function fits(schema, value, place) {
  try {
    check(schema, value, place);
    return true;
  } catch {
    return false;
  }
}
