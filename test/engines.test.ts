import { describe, test } from 'vitest'
import { Scope, seededRandom, silentLog, systemClock } from '../src/base/index.ts'
import { startRemoteSerf, startSerf } from '../src/serf/index.ts'
import { type EnginePair, engineConformance } from '../src/testing/index.ts'
import { Ring } from './parts.ts'

const deps = { clock: systemClock, random: seededRandom(3), log: silentLog }
const tags = { role: 'web' }

async function embedded(scope: Scope): Promise<EnginePair> {
  const start = async (name: string) => {
    const bind = { ip: '127.0.0.1', port: 0 }
    return scope.use(await startSerf({ name, bind, profile: 'local', tags }, deps))
  }
  const [one, other] = [await start('one'), await start('other')]
  await one.join([`127.0.0.1:${other.boundPort}`])
  return { one, other, clock: systemClock, crashOther: () => other.stop() }
}

/** @param net of no other test that runs at the same time */
async function remote(scope: Scope, net: string): Promise<EnginePair> {
  const ring = scope.use(new Ring(net, ['-profile=local']))
  const first = await ring.start('serf', 'one', 1)
  const second = await ring.start('serf', 'other', 2, [`-join=${first.address}`])
  const start = async (host: number) =>
    scope.use(await startRemoteSerf({ rpc: { ip: `${net}.${host}`, port: 7373 }, tags }, deps))
  const [one, other] = await Promise.all([start(1), start(2)])
  return { one, other, clock: systemClock, crashOther: async () => void (await second.part.end('SIGKILL')) }
}

const engines = {
  'our own gossip': (scope: Scope) => embedded(scope),
  'a real Serf agent over its RPC': (scope: Scope, at: number) => remote(scope, `127.0.${131 + at}`),
}

for (const [name, start] of Object.entries(engines)) {
  describe(`the engine ${name}`, () => {
    for (const [at, { title, run }] of engineConformance.entries()) {
      test(title, async () => {
        await using scope = new Scope()
        await run(await start(scope, at))
      })
    }
  })
}
