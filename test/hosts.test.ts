/** The rig itself: what other tests believe of its cables. */
import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { Hosts } from './hosts.ts'
import { eventually } from './parts.ts'
import { ask, Tier, WEBAPP } from './tier.ts'

/** Whether host 1 has an answer of host 2 within half a second; port 7946 is what agents gossip on. */
async function reaches(hosts: Hosts, port: number): Promise<boolean> {
  const url = `http://${hosts.ip(2)}:${port}/`
  const asked = `fetch('${url}', { signal: AbortSignal.timeout(500) })`
  const script = `${asked}.then(() => 'yes', () => 'no').then(it => process.stdout.write(it, () => process.exit()))`
  return (await hosts.exec(1, process.execPath, '-e', script)) === 'yes'
}

test('cables of a host are cut and healed apart: port 7946 by the one, all else by the other', async () => {
  const hosts = await Hosts.open(200, [1, 2])
  await using tier = await Tier.open(hosts)
  const env = { HOST: '0.0.0.0', SERVER_IP: hosts.ip(2), SERVER_NAME: 'web-2' }
  for (const port of ['3000', '7946']) tier.run(`p${port}`, [process.execPath, WEBAPP], { ...env, PORT: port }, 2)
  const both = async () => [await reaches(hosts, 3000), await reaches(hosts, 7946)]
  const soon = (wanted: boolean[]) => eventually(both, seen => seen.join() === wanted.join(), 10_000)
  await soon([true, true])
  await hosts.cutLink(1, ['gossip'])
  expect(await both()).toEqual([true, false])
  await hosts.cutLink(2, ['data'])
  await hosts.healLink(1, ['gossip'])
  expect(await both()).toEqual([false, true])
  await hosts.healLink(2)
  expect(await both()).toEqual([true, true])
  await hosts.deafen(2, ['data'])
  expect(await both()).toEqual([false, true])
  await hosts.undeafen(2, ['data'])
  expect(await both()).toEqual([true, true])
}, 60_000)

test('clients reach host 1 while its cables are cut, and nothing of the network is left', async () => {
  const hosts = await Hosts.open(201, [1])
  {
    await using tier = await Tier.open(hosts)
    const env = { PORT: '8080', HOST: '0.0.0.0', SERVER_IP: hosts.ip(1), SERVER_NAME: 'web-1' }
    tier.run('web-1', [process.execPath, WEBAPP], env)
    await hosts.cutLink(1)
    await eventually(
      () => ask(tier.site),
      name => name === 'web-1',
    )
    expect(Object.keys(networkInterfaces())).toContain('client-201')
  }
  await eventually(
    () => Object.keys(networkInterfaces()),
    names => !names.includes('client-201'),
  )
}, 60_000)
