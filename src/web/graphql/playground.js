// Sends what is typed, and lists the schema's fields by introspection.
const at = (id) => document.getElementById(id);
let tokens = {};

at('query').value = `mutation ($email: String!, $password: String!) {
  login(email: $email, password: $password) { status errors { path message } payload }
}`;
at('variables').value = JSON.stringify({ email: 'alice@example.com', password: '' }, null, 2);

async function ask(query, variables) {
  const headers = { 'content-type': 'application/json' };
  if (at('token').value) headers.authorization = `Bearer ${at('token').value}`;
  const answer = await fetch('/graphql', { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  return answer.json();
}

async function run() {
  try {
    const answer = await ask(at('query').value, JSON.parse(at('variables').value || '{}'));
    at('answer').textContent = JSON.stringify(answer, null, 2);
    for (const field of Object.values(answer.data ?? {})) {
      if (field?.payload) tokens = JSON.parse(field.payload);
    }
  } catch (error) {
    at('answer').textContent = String(error);
  }
}

at('run').onclick = run;
at('access').onclick = () => { at('token').value = tokens.access_token ?? ''; };
at('refresh').onclick = () => { at('token').value = tokens.refresh_token ?? ''; };
document.onkeydown = (event) => { if (event.ctrlKey && event.key === 'Enter') run(); };

const named = (type) => {
  if (type.kind === 'NON_NULL') return `${named(type.ofType)}!`;
  return type.kind === 'LIST' ? `[${named(type.ofType)}]` : type.name;
};
const type = 'kind name ofType { kind name ofType { kind name ofType { kind name } } }';
const { data } = await ask(`{ __schema { types { name fields { name args { name type { ${type} } } type { ${type} } } } } }`);
at('schema').textContent = data.__schema.types
  .filter((one) => one.fields && !one.name.startsWith('__'))
  .map((one) => {
    const field = ({ name, args, type }) => {
      const given = args.map((arg) => `${arg.name}: ${named(arg.type)}`).join(', ');
      return `  ${name}${given && `(${given})`}: ${named(type)}`;
    };
    return `type ${one.name} {\n${one.fields.map(field).join('\n')}\n}`;
  })
  .join('\n\n');
