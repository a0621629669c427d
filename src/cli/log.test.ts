import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { createLog } from './log.ts'

function logged(format: 'text' | 'json') {
  const out = new PassThrough()
  const log = createLog({ level: 'info', format }, out)
  return { log, printed: () => String(out.read() ?? '') }
}

test('lines of every level are kept in Serf form, whatever is printed', () => {
  for (const format of ['text', 'json'] as const) {
    const { log, printed } = logged(format)
    log.child({ room: 'serf' }).debug({ member: 'a' }, 'explained')
    log.warn({}, 'healed')
    expect(log.lines.recent()).toEqual([
      expect.stringMatching(/^\d{4}\/\d\d\/\d\d [\d:]{8} \[DEBUG\] serf: explained member=a$/),
      expect.stringMatching(/ \[WARN\] agent: healed$/),
    ])
    expect(printed()).toMatch(
      format === 'text' ? /^\S+ \S+ \[WARN\] agent: healed\n$/ : /^\{"level":40,.*"msg":"healed"\}\n$/,
    )
  }
})

test('512 lines are kept, and never more than a megabyte of them', () => {
  const { log } = logged('text')
  for (let i = 0; i < 600; i++) log.info({ i }, 'counted')
  expect(log.lines.recent()).toHaveLength(512)
  expect(log.lines.recent()[0]).toMatch(/i=88$/)
  for (let i = 0; i < 20; i++) log.info({ long: 'x'.repeat(100_000) }, 'long')
  expect(log.lines.recent().join('').length).toBeLessThan(1024 * 1024)
})

test('whoever listens hears each line once, until it stops', () => {
  const { log } = logged('text')
  const heard: string[] = []
  const end = log.lines.onLine(line => heard.push(line))
  log.debug({}, 'one')
  end()
  log.debug({}, 'two')
  expect(heard).toEqual([expect.stringMatching(/\[DEBUG\] agent: one$/)])
})
