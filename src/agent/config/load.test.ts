import { expect, test } from 'vitest'
import { fakeWorld } from './fake-world.ts'
import { type ConfigInput, loadConfig } from './load.ts'
import { ConfigError } from './problems.ts'

const worldWith = (files: Readonly<Record<string, string>>) => fakeWorld(files, '/home/me')

/** One `muster.yaml` in the working directory. */
function load(yaml: string, more: Omit<ConfigInput, 'files'> = {}) {
  return loadConfig({ ...more, files: [{ kind: 'file', path: 'muster.yaml' }] }, worldWith({ 'muster.yaml': yaml }))
}

function messageFor(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'no error'
}

test('nothing at all is a sound configuration: the defaults of Serf and of docs/configuration.md', () => {
  const config = loadConfig({}, worldWith({}))
  expect(config.node).toEqual({ name: 'host-1', isNamed: false, tags: {} })
  expect(config.cluster).toMatchObject({
    bind: { ip: '0.0.0.0', port: 7946 },
    rpc: { ip: '127.0.0.1', port: 7373 },
    profile: 'lan',
  })
  expect(config.api.socketPath).toBe('/run/muster/agent.sock')
  expect(config.balancer).toBeUndefined()
})

test('an unknown key is an error with file, line, column, the nearest right key and what is allowed', () => {
  const message = messageFor(() =>
    load('node: { name: web-1 }\nservices:\n  web:\n    command: node app.js\n    pool: web\n    prot: 8080\n'),
  )
  expect(message).toContain('muster.yaml:6:5: unknown key "prot" in services.web; did you mean "port"?')
  expect(message).toContain('     6 |     prot: 8080\n       |     ^^^^')
  expect(message).toContain('allowed in services.web: command, env,')
})

test('every problem is listed, each with its place', () => {
  const message = messageFor(() =>
    load('nod: {}\ncluster:\n  bind: nowhere\n  retry_interval: 30\nservices:\n  web: { pool: web }\n'),
  )
  expect(message).toContain('muster.yaml:1:1: unknown key "nod"; did you mean "node"?')
  expect(message).toContain('muster.yaml:3:9: cluster.bind: "nowhere" is not an address')
  expect(message).toContain(
    'muster.yaml:4:19: cluster.retry_interval: takes a duration such as 30s, 300ms or 1h10m, not 30',
  )
  expect(message).toContain('muster.yaml:6:3: services.web: "command" is missing')
})

test('an unknown key inside a value of two forms is still named', () => {
  const message = messageFor(() => load('balancer: { pools: { web: { sticky: { cokie: A } } } }'))
  expect(message).toContain('unknown key "cokie" in balancer.pools.web.sticky; did you mean "cookie"?')
})

test('broken YAML and a key given twice are errors with their place, not exceptions', () => {
  expect(messageFor(() => load('node: {name: a\ncluster: 1'))).toMatch(/^muster\.yaml:\d+:\d+: /)
  expect(messageFor(() => load('log: {}\nlog: {}'))).toContain('muster.yaml:2:1: Map keys must be unique')
  expect(
    messageFor(() =>
      load(
        'a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n',
      ),
    ),
  ).toMatch(/muster\.yaml/)
})

test('an empty file says nothing, and that is allowed', () => {
  expect(load('').node.name).toBe('host-1')
  expect(load('# nothing\n').node.name).toBe('host-1')
})

test('flags beat the environment, which beats the file, which beats the default', () => {
  const yaml = 'node: { name: from-file }\nlog: { level: debug }\ncluster: { profile: wan }\n'
  const env = { MUSTER_NODE_NAME: 'from-env', MUSTER_LOG_LEVEL: 'warn' }
  const config = load(yaml, { env, flags: { node: ['from-flag'] } })
  expect([config.node.name, config.logLevel, config.cluster.profile]).toEqual(['from-flag', 'warn', 'wan'])
})

test('joins and event handlers add up over all sources, files first; tags merge by key, as in Serf', () => {
  const config = load('cluster: { join: [10.0.0.1] }\nnode: { tags: { dc: a, rack: "1" } }\nevent_handlers: one.sh\n', {
    flags: { join: ['10.0.0.2'], tag: ['dc=b', 'formula=x=y'], 'event-handler': ['user:deploy=two.sh'] },
  })
  expect(config.cluster.join).toEqual(['10.0.0.1', '10.0.0.2'])
  expect(config.node.tags).toEqual({ dc: 'b', rack: '1', formula: 'x=y' })
  expect(config.handlers).toEqual(['one.sh', 'user:deploy=two.sh'])
})

test('a wrong flag is named as the flag, a wrong variable as the variable', () => {
  expect(messageFor(() => loadConfig({ flags: { bind: ['x y'] } }, worldWith({})))).toMatch(
    /^-bind: cluster.bind: "x y" is not an address/,
  )
  expect(messageFor(() => loadConfig({ env: { MUSTER_CLUSTER_PROTOCOL: 'nine' } }, worldWith({})))).toMatch(
    /^MUSTER_CLUSTER_PROTOCOL: /,
  )
  expect(messageFor(() => loadConfig({ flags: { tag: ['=x'] } }, worldWith({})))).toContain('-tag: node.tags')
})

test('a mistyped variable of ours is a warning: the environment belongs to others too', () => {
  const config = loadConfig({ env: { MUSTER_NODE_NAM: 'x', PATH: '/bin' } }, worldWith({}))
  expect(config.warnings).toEqual([
    'MUSTER_NODE_NAM in the environment is not a setting; did you mean MUSTER_NODE_NAME?',
  ])
})

test("a file of Serf's is read as Serf reads it: keys in any case, strict types, text behind it ignored", () => {
  const json =
    '{\n\t"Node_Name": "n1", "tags": {"role": "web"}, "start_join": ["10.0.0.1"], "retry_interval": "15s",\n"leave_on_terminate": true, "protocol": 0} junk'
  const read = (text: string) =>
    loadConfig({ files: [{ kind: 'file', path: 's.json' }] }, worldWith({ 's.json': text }))
  const config = read(json)
  expect([config.node.name, config.node.tags, config.cluster.join]).toEqual(['n1', { role: 'web' }, ['10.0.0.1']])
  expect([config.cluster.retryIntervalMs, config.cluster.protocol]).toEqual([15_000, 5])
  expect(messageFor(() => read('{\n "bindd": "x"}'))).toContain('s.json:2:2: unknown key "bindd"; did you mean "bind"?')
  expect(messageFor(() => read('{"protocol": "4"}'))).toContain('s.json:1:14: protocol takes a number')
  expect(messageFor(() => read('{"profile": "moon"}'))).toContain(
    's.json:1:13: cluster.profile: takes lan, wan or local, not "moon"',
  )
  expect(messageFor(() => read('[]'))).toContain('s.json: is not a JSON object')
})

test('a configuration directory is read in the order of its names', () => {
  const world = worldWith({
    'd/b.json': '{"node_name":"b"}',
    'd/a.json': '{"node_name":"a","start_join":["h"]}',
    'd/c.txt': '!',
  })
  const config = loadConfig({ files: [{ kind: 'dir', path: 'd' }] }, world)
  expect([config.node.name, config.cluster.join, config.files]).toEqual(['b', ['h'], ['d/a.json', 'd/b.json']])
})

test('a service with a pool and a port is asked over TCP where gossip is bound, unless it says how', () => {
  const config = load(
    'cluster: { bind: 127.0.0.3 }\nservices:\n  web: { command: node app.js, env: { PORT: 3000 }, pool: web, port: 3000 }\n  api: { command: [node, api.js], pool: api, port: 4000, ip: 127.0.0.9, ready: { http: /up, timeout: 5s } }\n',
  )
  expect(config.services[0]).toMatchObject({
    name: 'web',
    env: { PORT: '3000' },
    pool: 'web',
    ready: { kind: 'tcp', ip: '127.0.0.3', port: 3000 },
  })
  expect(config.services[1]).toMatchObject({
    ready: { kind: 'http', ip: '127.0.0.9', port: 4000, path: '/up' },
    readyTimeoutMs: 5000,
  })
})

test('a balancer carries role=balancer, unless another role was asked for', () => {
  expect(load('balancer: {}').node.tags).toEqual({ role: 'balancer' })
  expect(load('balancer: {}\nnode: { tags: { role: edge } }').node.tags).toEqual({ role: 'edge' })
})

test('the shortest balancer has the template with slots, the pool of plain members, and a cookie by the name of the pool', () => {
  const config = load(
    'balancer:\n  frontends: { http: { bind: ":80", pool: web } }\n  pools: { web: { balance: leastconn, check: { http: / }, sticky: cookie } }\n',
  )
  expect(config.balancer).toMatchObject({
    template: 'slots',
    plainPool: 'web',
    frontends: [{ name: 'http', binds: [':80'], pool: 'web' }],
  })
  expect(config.balancer?.pools).toMatchObject([
    { name: 'web', check: { kind: 'http', path: '/' }, sticky: { cookie: 'SRV', key: 'web' } },
  ])
})

test('a frontend whose pool does not exist, and two on one address, are errors', () => {
  const message = messageFor(() =>
    load(
      'balancer:\n  frontends:\n    a: { bind: ":80", pool: wbe }\n    b: { bind: [":80"], pool: web }\n  pools: { web: {} }\n',
    ),
  )
  expect(message).toContain('muster.yaml:3:29: balancer.frontends.a.pool: there is no pool "wbe"; did you mean "web"?')
  expect(message).toContain('balancer.frontends.b.bind: :80 is taken by frontends.a')
})

test('what could break a line of HAProxy is refused at the door', () => {
  for (const bad of [
    'balance: "roundrobin\\n server evil 1.2.3.4:80"',
    'check: { http: "/a b" }',
    'sticky: { cookie: "a b" }',
  ]) {
    expect(messageFor(() => load(`balancer: { pools: { web: { ${bad} } } }`))).toContain('balancer.pools.web')
  }
  expect(messageFor(() => load('balancer: { pools: { "a b": {} } }'))).toContain('"a b" is not allowed as a name')
})

test('paths in muster.yaml are relative to it, those of flags to the working directory', () => {
  const world = worldWith({ 'etc/m.yaml': 'balancer: { template: ./lb.hbs }\nstate_dir: state\n' })
  const config = loadConfig({ files: [{ kind: 'file', path: 'etc/m.yaml' }], flags: { 'run-dir': ['run'] } }, world)
  expect([config.balancer?.template, config.stateDir, config.runDir]).toEqual([
    '/home/me/etc/lb.hbs',
    '/home/me/etc/state',
    '/home/me/run',
  ])
})

test('a socket path that the kernel would cut is refused, with the room there is', () => {
  const long = `/tmp/${'x'.repeat(92)}`
  expect(messageFor(() => loadConfig({ flags: { socket: [long] } }, worldWith({})))).toMatch(
    /^-socket: api.socket: .* at most 96 bytes/,
  )
  expect(messageFor(() => loadConfig({ flags: { 'run-dir': [long] } }, worldWith({})))).toContain('at most 66 bytes')
})

test('keys come from -encrypt or the keyring file, not both; a wrong one is said without showing it', () => {
  const key = Buffer.alloc(16, 7).toString('base64')
  const world = worldWith({ '/k.json': JSON.stringify([key]), '/bad.json': '["AAAA"]' })
  expect(loadConfig({ flags: { encrypt: [key] } }, world).cluster.keyring).toEqual([new Uint8Array(16).fill(7)])
  expect(loadConfig({ flags: { 'keyring-file': ['/k.json'] } }, world).cluster.keyringPath).toBe('/k.json')
  expect(messageFor(() => loadConfig({ flags: { 'keyring-file': ['/bad.json'] } }, world))).toContain(
    'entry 1 is not a key',
  )
  expect(messageFor(() => loadConfig({ flags: { encrypt: ['secret!'] } }, world))).not.toContain('secret!')
  const bare = messageFor(() => loadConfig({ flags: { 'keyring-file': ['/bare'] } }, worldWith({ '/bare': key })))
  expect(bare).toContain('it is not JSON')
  expect(bare).not.toContain(key.slice(0, 8))
  expect(messageFor(() => loadConfig({ flags: { encrypt: [key], 'keyring-file': ['/k.json'] } }, world))).toContain(
    'not allowed beside a keyring',
  )
})

test('a line that holds a secret is told by its place alone', () => {
  const key = Buffer.alloc(16, 7).toString('base64')
  for (const line of [`encrypt: ${key.slice(1)}`, `{ encrypt: ${key}, oops: 1 }`, `{ rpc_auth: "sekret", oops: 1 }`]) {
    const said = messageFor(() => load(`cluster:\n  ${line}\n`))
    expect(said).toMatch(/muster\.yaml:2:\d+: /)
    expect(said).not.toMatch(/sekret|BwcHBw/)
  }
})

test('a keyring file that was torn gives way to its last good copy, with a warning; one that is missing does not', () => {
  const keys = JSON.stringify([Buffer.alloc(16, 7).toString('base64')])
  const flags = { 'keyring-file': ['/k.json'] }
  const torn = loadConfig({ flags }, worldWith({ '/k.json': keys.slice(0, 9), '/k.json.last-good': keys }))
  expect(torn.cluster.keyring).toEqual([new Uint8Array(16).fill(7)])
  expect(torn.warnings.join()).toContain('using the keys of /k.json.last-good')
  expect(messageFor(() => loadConfig({ flags }, worldWith({ '/k.json.last-good': keys })))).toContain('no such file')
  const closed = { ...worldWith({ '/k.json.last-good': keys }), exists: () => true } // newer keys may be in it
  expect(messageFor(() => loadConfig({ flags }, closed))).toContain('no such file')
})

test("an interface gives its first address that is not link-local, as Serf's -iface", () => {
  expect(loadConfig({ flags: { iface: ['eth0'] } }, worldWith({})).cluster.bind).toEqual({ ip: '10.0.0.9', port: 7946 })
  expect(messageFor(() => loadConfig({ flags: { iface: ['eth7'] } }, worldWith({})))).toContain(
    '-iface: cluster.interface: there is no network interface "eth7"',
  )
})

test('a handler with an unknown filter is refused in the words of Serf', () => {
  expect(messageFor(() => loadConfig({ flags: { 'event-handler': ['nope=x.sh'] } }, worldWith({})))).toContain(
    "Invalid event script: Event 'nope' invoking 'x.sh'",
  )
})

test('intervals below a second are raised to it, with a warning, as in Serf', () => {
  const config = loadConfig({ flags: { 'retry-interval': ['10ms'] } }, worldWith({}))
  expect([config.cluster.retryIntervalMs, config.warnings]).toEqual([
    1000,
    ['cluster.retry_interval is too low; set to 1s'],
  ])
})

test('a missing file is named', () => {
  expect(messageFor(() => loadConfig({ files: [{ kind: 'file', path: 'no.yaml' }] }, worldWith({})))).toContain(
    'no.yaml: cannot be read: ENOENT',
  )
})

test('the result is frozen all the way down', () => {
  const config = load('services: { web: { command: x } }')
  expect(Object.isFrozen(config.services[0]?.restart)).toBe(true)
})

test('with a real agent as the engine, keys about gossip are said to have no effect, and its address is needed', () => {
  const config = load('cluster: { engine: serf, bind: 10.0.0.1, rpc: 127.0.0.1:7374 }\n')
  expect(config.cluster).toMatchObject({ engine: 'serf', rpc: { ip: '127.0.0.1', port: 7374 } })
  expect(config.warnings.join()).toContain('cluster: bind has no effect with the engine serf')
  expect(messageFor(() => load('cluster: { engine: serf, rpc: false }\n'))).toContain(
    'cluster.rpc: the engine serf needs',
  )
})

test("a service must not have HAProxy's name, nor a port that another one has in the same pool", () => {
  const one = 'command: a, pool: web, port: 3000'
  const message = messageFor(() => load(`services:\n  haproxy: { command: a }\n  a: { ${one} }\n  b: { ${one} }\n`))
  expect(message).toContain('muster.yaml:2:3: services.haproxy: this name is that of the HAProxy which "balancer" runs')
  expect(message).toMatch(/muster.yaml:4:\d+: services.b.port: port 3000 in pool "web" is taken by services.a/)
  expect(load(`services:\n  a: { ${one} }\n  b: { ${one.replace('web', 'api')} }\n`).services).toHaveLength(2)
})

test('a name that is too long and a key with nothing below it are refused in words', () => {
  const message = messageFor(() => load(`node: { name: ${'x'.repeat(129)} }\nservices:\n`))
  expect(message).toContain('node.name: takes at most 128 characters, not "xxx')
  expect(message).toContain('services: there is nothing in it; put something below it, or take the key away')
})

test('quarantine after 0 failures is taken as it is: never', () => {
  const { services } = load('services: { a: { command: a, restart: { quarantine_after: 0 } } }')
  expect(services[0]?.restart.quarantineAfter).toBe(0)
})
