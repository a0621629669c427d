import { expect, test } from 'vitest'
import { SLOTS_TEMPLATE } from './built-in-templates.ts'
import type { BalancerConfig } from '../config.ts'
import { type PlacedServer, templateData } from './data.ts'
import { assertListening, compileTemplate } from './template.ts'

const config: BalancerConfig = {
  template: 'slots',
  configPath: '/etc/haproxy.cfg',
  runDir: '/run/muster',
  frontends: { www: { bind: ':80', pool: 'web' } },
  pools: { web: {} },
  node: { name: 'lb-1', ip: '10.0.0.9' },
}

function server(name: string, ip: string, port = 3000): PlacedServer {
  return { pool: 'web', name, host: name, ip, port, weight: 1, stance: 'ready', state: 'plain' }
}

const web1 = server('web-1', '10.0.0.1')
const web2 = server('web-2', '10.0.0.2')

test('the classic template renders as it always did', async () => {
  const render = await compileTemplate(
    '{{#each addresses}}server {{ host }} {{ ip }}:3000 check\n{{/each}}',
    'classic.hbs',
  )
  expect(render(templateData(config, [web2, web1], new Map(), 1000))).toBe(
    'server web-1 10.0.0.1:3000 check\nserver web-2 10.0.0.2:3000 check\n',
  )
})

test('a name that the data does not have is an error with file and line, in blocks as well', async () => {
  const refusal = (source: string) =>
    compileTemplate(source, 'my.hbs').then(
      () => 'compiled',
      (e: Error) => e.message,
    )
  expect(await refusal('a\n{{#each adresses}}{{/each}}')).toMatch(
    /^my\.hbs:2: the data has no adresses here; there is node/,
  )
  expect(await refusal('\n\n{{#each addresses}}{{ hots }}{{/each}}')).toMatch(/^my\.hbs:3: .* there is host, ip, port/)
  expect(await refusal('{{#if nodes.name}}{{/if}}')).toMatch(/^my\.hbs:1:/)
  expect(await refusal('{{#each pools}}{{#each servers}}{{../nam}}{{/each}}{{/each}}')).toMatch(/^my\.hbs:1:/)
  expect(
    await refusal('{{#each pools}}{{#each servers}}{{../name}}{{@index}}{{@root.node.ip}}{{/each}}{{/each}}'),
  ).toBe('compiled')
  expect(await refusal('{{#each addresses}}')).toMatch(/^my\.hbs: .*line 1/i)
  expect(await refusal('{{shout node.name}}')).toBe('my.hbs:1: no helper shout')
  expect(await refusal('{{constructor}}')).toMatch(/no constructor/)
})

test('the same servers in another order give the same bytes, and nothing is escaped', async () => {
  const render = await compileTemplate(
    '{{#each pools}}{{#each servers}}{{server}} {{id}};{{/each}}{{/each}}{{node.name}}',
    'x',
  )
  const odd = { ...config, node: { name: '<&"\'>', ip: '::1' } }
  const text = render(templateData(odd, [web1, web2], new Map(), 1))
  expect(render(templateData(odd, [web2, web1], new Map(), 1))).toBe(text)
  expect(text.endsWith('<&"\'>\n')).toBe(true)
})

test('two endpoints of one member have two names', () => {
  const data = templateData(config, [web1, server('web-1', '10.0.0.1', 3001)], new Map(), 1)
  expect(data.pools[0]?.servers.map(({ server: name }) => name)).toEqual(['web-1', 'web-1:3001'])
})

test('each bind has a line of its own, so that its parameters are not those of another', async () => {
  const two = { ...config, frontends: { www: { bind: [':80', ':443 ssl crt /x.pem'], pool: 'web' } } }
  const render = async (source: string) =>
    (await compileTemplate(source, 'slots'))(templateData(two, [], new Map(), 1))
      .split('\n')
      .map(line => line.trim())
      .filter(line => line.startsWith('bind '))
  expect(await render(SLOTS_TEMPLATE)).toEqual(['bind :80', 'bind :443 ssl crt /x.pem'])
  expect(await render('{{#each frontends}}{{#each binds}}bind {{this}}\n{{/each}}{{/each}}')).toHaveLength(2)
})

test('addresses are those of the pools that this balancer has, each once and under a name of its own', () => {
  const api = { ...server('web-1', '10.0.0.1', 14_000), pool: 'api' }
  const servers = [api, server('web-1', '10.0.0.1', 13_000), server('web-1', '10.0.0.1', 13_001), web2]
  expect(templateData(config, servers, new Map(), 1)).toMatchObject({
    addresses: [
      { host: 'web-1', port: 13_000 },
      { host: 'web-1:13001', port: 13_001 },
      { host: 'web-2', port: 3000 },
    ],
    members: [{ name: 'web-1' }, { name: 'web-2' }],
  })
})

test("the user's own values are `data`, and a name that they do not have is an error with its line", async () => {
  const data = { region: 'north', sites: [{ host: 'a' }, { host: 'b', port: 1 }], limits: { x: { rate: 5 } } }
  const source =
    '{{data.region}}{{#each data.sites}} {{host}}{{port}}{{/each}}{{#each data.limits}} {{@key}}={{rate}}{{/each}}'
  const render = await compileTemplate(source, 'my.hbs', data)
  expect(render(templateData({ ...config, data }, [], new Map(), 1))).toBe('north a b1 x=5\n')
  const empty = { ...data, sites: [], limits: {} }
  const bare = await compileTemplate(source, 'my.hbs', empty)
  expect(bare(templateData({ ...config, data: empty }, [], new Map(), 1))).toBe('north\n')
  await expect(compileTemplate('\n{{data.regoin}}', 'my.hbs', data)).rejects.toThrow(
    'my.hbs:2: the data has no data.regoin',
  )
})

test('a template that renders nothing, or nothing that listens, is refused: HAProxy would take it and close every site', async () => {
  const outcome = async (source: string) => {
    const render = assertListening(await compileTemplate(source, 'my.hbs'), 'my.hbs')
    try {
      return render(templateData(config, [], new Map(), 1000))
    } catch (failure) {
      return (failure as Error).message
    }
  }
  expect(await outcome('')).toBe('my.hbs: it renders nothing, so that no client could come in')
  expect(await outcome('{{#each addresses}}frontend x\n bind :80\n{{/each}}')).toContain('it renders nothing')
  const deaf = ['', 'frontend x\n# bind :80\n', 'peers p\n bind :10000\n', 'frontend x\n disabled\n bind :80\n']
  for (const rest of deaf)
    for (const head of ['global\n stats socket /x\n', 'defaults\n mode http\n', 'no-such-word\n'])
      expect(await outcome(`${head}${rest}`)).toBe(
        'my.hbs: no frontend that it renders has a bind line, so that no client could come in',
      )
  expect(await outcome('listen x\n\tbind :80\n')).toContain('listen x')
})

test('a bind line under a condition counts only where its other branches have one, too: HAProxy closes every site where none is left', async () => {
  const outcome = async (lines: string) => {
    const render = assertListening(await compileTemplate(lines.replaceAll(';', '\n'), 'my.hbs'), 'my.hbs')
    try {
      return render(templateData(config, [], new Map(), 1000)).replaceAll('\n', ';')
    } catch (failure) {
      return (failure as Error).message
    }
  }
  const refusal = 'stands under a condition (.if) that may be false'
  expect(await outcome('.if version_atleast(9.4);frontend x; bind :80;.endif')).toContain(refusal)
  expect(await outcome('frontend x;.if feature(QUIC); bind :80;.elif streq(a,b); bind :81;.endif')).toContain(refusal)
  expect(await outcome('frontend x;.if a;.if b; bind :80;.else; bind :81;.endif;.endif')).toContain(refusal)
  for (const fine of [
    'frontend x;.if feature(OPENSSL); bind :443;.endif; bind :80',
    'frontend x;.if a; bind :80;.elif b; bind :81;.else;.if c; bind :82;.else; bind :83;.endif;.endif',
  ])
    expect(await outcome(fine)).toBe(`${fine};`)
})

test('the byte order mark before a template is taken away: HAProxy refuses it', async () => {
  const render = await compileTemplate('\uFEFFlisten x\n', 'my.hbs')
  expect(render(templateData(config, [], new Map(), 1000))).toBe('listen x\n')
})
