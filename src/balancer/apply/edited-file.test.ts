import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { HaproxyControl } from '../drivers/haproxy-control.ts'
import { ReloadFailedError } from '../errors.ts'
import { endAll, rig, until } from '../../testing/index.ts'

afterEach(endAll)

const ORDER = { actor: 'operator', causes: [] }

test('an apply puts right what somebody wrote into the file and a plan has said so, also where that is kept', async () => {
  const made = await rig({ drift: 'adopt' })
  const balancer = await made.start()
  await balancer.settle()
  const file = () => readFile(made.config.configPath, 'utf8')
  const ours = await file()
  const mine = ours.replace(/maxconn (\d+)/, 'maxconn 77 # was $1')
  await writeFile(made.config.configPath, mine)
  balancer.wake()
  await until(() => balancer.status().drifts.at(-1)?.outcome.startsWith('kept') === true)
  await balancer.settle()
  const outlook = await balancer.plan()
  expect(outlook).toMatchObject({ method: 'file', before: mine, after: ours })
  const receipt = await balancer.apply(undefined, { ...ORDER, expected: outlook.id })
  expect(receipt?.method).toBe('file')
  expect(await file()).toBe(ours)
  expect(await readFile(`${made.config.configPath}.edited`, 'utf8')).toBe(mine)
  expect(balancer.status().drifts.map(({ outcome }) => outcome)).toEqual(['put right'])
  expect((await balancer.plan()).method).toBe('nothing')
})

test('a file that HAProxy cannot load is taken back for ours also where somebody else wrote the one before', async () => {
  let control: HaproxyControl | undefined
  const made = await rig(
    {},
    {
      makeControl: (...parts: ConstructorParameters<typeof HaproxyControl>) => (control = new HaproxyControl(...parts)),
    },
  )
  const balancer = await made.start()
  await balancer.settle()
  await balancer.stop({ keepHaproxy: true })
  const file = () => readFile(made.config.configPath, 'utf8')
  const ours = await file()
  await writeFile(made.config.configPath, `${ours}# mine\n`)
  const edited = await control?.editedFile()
  expect(edited).toBe(`${ours}# mine\n`)
  await control?.setAside(edited ?? '')
  const unloadable = `${ours}listen lost\n  bind unix@${join(made.config.runDir, 'nowhere', 'a.sock')}\n`
  await expect(control?.reload(unloadable)).rejects.toThrow(ReloadFailedError)
  expect(await file()).toBe(ours)
})
