// Lists the operations of /openapi.json, each with a form that sends it.
const make = (name, text, of = {}) => Object.assign(document.createElement(name), { textContent: text }, of);
const token = document.getElementById('token');

// An example of what a schema describes: its own, or one made of its type.
function example(schema, all) {
  if (schema.$ref) return example(all[schema.$ref.split('/').pop()], all);
  if (schema.examples) return schema.examples[0];
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties).map(([name, inner]) => [name, example(inner, all)]));
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  return { string: '', boolean: false, array: [], integer: 0 }[type] ?? null;
}

function operation(method, path, described, all) {
  const box = make('details', '');
  const title = box.appendChild(make('summary', ''));
  title.append(make('b', method.toUpperCase()), ` ${path}`);
  box.append(make('p', described.summary ?? described.description ?? ''));
  const fields = (described.parameters ?? []).map((one) => {
    const field = make('input', '', { placeholder: one.name });
    box.append(make('label', `${one.name} (${one.in})`), field);
    return [one, field];
  });
  const schema = described.requestBody?.content['application/json']?.schema;
  const body = schema && box.appendChild(make('textarea', JSON.stringify(example(schema, all), null, 2), { rows: 5 }));
  const send = box.appendChild(make('button', 'Send'));
  const shown = make('pre', '');
  send.onclick = async () => {
    let target = path;
    const query = new URLSearchParams();
    for (const [one, field] of fields) {
      if (one.in === 'path') target = target.replace(`{${one.name}}`, encodeURIComponent(field.value));
      else if (field.value) query.set(one.name, field.value);
    }
    if (query.size) target += `?${query}`;
    const headers = token.value ? { authorization: `Bearer ${token.value}` } : {};
    if (body) headers['content-type'] = 'application/json';
    const answer = await fetch(target, { method: method.toUpperCase(), headers, body: body?.value });
    const text = await answer.text();
    shown.textContent = `${answer.status}\n${text}`;
    box.append(shown);
    try { token.value = JSON.parse(text).access_token ?? token.value; } catch { /* no JSON */ }
  };
  return box;
}

const api = await (await fetch('/openapi.json')).json();
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, described] of Object.entries(methods)) {
    document.getElementById('operations').append(operation(method, path, described, api.components.schemas));
  }
}
