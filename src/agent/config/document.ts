import { type JsonSchema, jsonSchema } from './check.ts'
import { SETTINGS, variableOf } from './settings.ts'

/** `docs/configuration.md`, made from the schema and the table of settings; a test keeps the file current. */
export function configurationDocument(): string {
  const sections = Object.entries(jsonSchema().properties ?? {}).flatMap(([key, schema]) => sectionOf(key, schema))
  return `${[HEAD, ...sections, ...flagSection()].join('\n')}\n`
}

/** `schema/muster.schema.json`, for editors. */
export function schemaDocument(): string {
  const title = { title: 'muster.yaml' }
  return `${JSON.stringify({ ...jsonSchema(), ...title }, undefined, 2)}\n`
}

const HEAD = `# Configuration

<!-- Made from the schema by \`src/agent/config/document.ts\`; to renew: npx vitest run src/agent/config -u -->

One YAML file, \`/etc/muster/muster.yaml\` or what \`-f\` names, or, where neither \`-f\` nor \`-config-dir\` is given,
\`MUSTER_CONFIG_FILE\` in the environment; files may be several, and JSON files are read as Serf's. Flags
beat the environment, which beats files, which beat defaults; \`join\`, \`retry_join\` and \`event_handlers\` add up, and maps
merge by key. Durations are written \`300ms\`, \`30s\`, \`1h10m\`. Paths in the file are relative to it. A wrong key is an error
with its place and the nearest right key, and nothing is started (exit code 2).

The package has a JSON schema of all of it, \`schema/muster.schema.json\`. An editor with the YAML language server completes and
checks by it when the first line of the file is \`# yaml-language-server: $schema=/usr/lib/node_modules/muster/schema/muster.schema.json\`
(\`npm root -g\` says where packages are).

\`\`\`yaml
node: { name: web-1, tags: { dc: lausanne } }
cluster: { join: [10.0.0.2, 10.0.0.3], keyring: /var/lib/muster/keyring.json }
services:
  web: { command: node app.js, env: { PORT: "3000" }, pool: web, port: 3000, ready: { http: / } }
balancer:                                  # only on balancer nodes
  frontends: { http: { bind: ":80", pool: web } }
  pools: { web: { balance: leastconn, check: { http: / }, sticky: cookie } }
\`\`\`
`

function sectionOf(key: string, schema: JsonSchema): string[] {
  const rows = rowsOf('', schema)
  const text = schema.description ?? ''
  if (rows.length === 0) return [`## \`${key}\`\n`, `${text}\n`]
  return [`## \`${key}\`\n`, `${text}\n`, '| Key | Takes | Meaning |', '|---|---|---|', ...rows, '']
}

function rowsOf(path: string, schema: JsonSchema): string[] {
  const rows: string[] = []
  const join = (key: string) => (path === '' ? key : `${path}.${key}`)
  for (const form of [schema, ...(schema.anyOf ?? [])]) {
    for (const [key, inner] of Object.entries(form.properties ?? {})) {
      const needed = form.required?.includes(key) === true ? '**Needed.** ' : ''
      if (!isMapOfKeys(inner)) rows.push(row(join(key), takes(inner), `${needed}${inner.description ?? ''}`))
      rows.push(...rowsOf(join(key), inner))
    }
    if (form.items !== undefined && hasKeys(form.items)) rows.push(...rowsOf(`${path}[]`, form.items))
    const values = form.additionalProperties
    if (typeof values === 'object' && hasKeys(values)) rows.push(...rowsOf(join('<name>'), values))
  }
  return rows
}

function hasKeys(schema: JsonSchema): boolean {
  return schema.properties !== undefined || (schema.anyOf ?? []).some(hasKeys)
}

function isMapOfKeys(schema: JsonSchema): boolean {
  const values = schema.additionalProperties
  return (
    schema.anyOf === undefined && (schema.properties !== undefined || (typeof values === 'object' && hasKeys(values)))
  )
}

function row(...cells: string[]): string {
  return `| \`${cells[0]}\` | ${cells
    .slice(1)
    .map(cell => cell.replaceAll('|', '\\|'))
    .join(' | ')} |`
}

function takes(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${String(schema.const)}\``
  if (schema.enum !== undefined) return schema.enum.map(one => `\`${String(one)}\``).join(', ')
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(takes))].join(' or ')
  if (schema.items !== undefined) return 'list'
  return WORDS[String(schema.type)] ?? 'any value'
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'true or false',
  integer: 'number',
  number: 'number',
  object: 'map',
  array: 'list',
}

function flagSection(): string[] {
  const rows = SETTINGS.map(one => {
    const flag = one.flag === undefined ? '' : `\`-${one.flag}\``
    const serf = one.serf === undefined ? '' : `\`${one.serf}\``
    const variable =
      ['role', 'mdns'].includes(one.kind) || one.inverted !== undefined ? '' : `\`${variableOf(one.path)}\``
    return row(one.kind === 'role' ? 'node.tags.role' : one.path, flag, variable, serf)
  })
  const head = [
    '## Flags, environment, and the keys of Serf\n',
    'Flags take one dash or two. Lists in the environment are separated by commas, event handlers by line ends.\n',
  ]
  return [...head, '| Key | Flag | Environment | Key in a JSON file of Serf |', '|---|---|---|---|', ...rows]
}
