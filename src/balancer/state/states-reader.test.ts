import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseServersState } from './runtime-state.ts'
import { StatesReader } from './states-reader.ts'

const HEADER =
  '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl'

interface Told {
  readonly id: number
  readonly ip: string
  readonly up: number
  readonly admin: number
  readonly weight: number
  readonly sinceS: number
  readonly checks: number
  readonly port: number
}

const told = fc.record<Told>({
  id: fc.integer({ min: 1, max: 4 }),
  ip: fc.constantFrom('10.0.0.1', '10.0.0.11'),
  up: fc.constantFrom(0, 2),
  admin: fc.constantFrom(0, 1, 8),
  weight: fc.constantFrom(1, 10, 11),
  sinceS: fc.nat(100),
  checks: fc.constantFrom(6, 7),
  port: fc.constantFrom(80, 8_080),
})

function shown(rows: readonly Told[], header = HEADER): string {
  const lines = rows.map(
    ({ id, ip, up, admin, weight, sinceS, checks, port }) =>
      `3 web ${id} slot${id} ${ip} ${up} ${admin} ${weight} 1 ${sinceS} 6 3 4 ${checks} 0 0 0 - ${port} - 0`,
  )
  return ['1', header, ...lines].join('\n')
}

test('whatever changes from look to look, it reads what is read without a memory', () => {
  const another = HEADER.replace('srv_port', 'srv_fqdn').replace('srv_fqdn', 'srv_port')
  const look = fc.tuple(fc.array(told, { maxLength: 6 }), fc.constantFrom(HEADER, HEADER, another))
  fc.assert(
    fc.property(fc.array(look), looks => {
      const reader = new StatesReader()
      for (const [rows, header] of looks) {
        const text = shown(rows, header)
        expect(reader.read(text)).toEqual(parseServersState(text))
      }
    }),
  )
})

test('garbage, half an answer and none are read as without a memory', () => {
  const whole = shown([1, 2].map(id => ({ ...BASE, id })))
  const reader = new StatesReader()
  for (let length = 0; length <= whole.length; length++) {
    expect(reader.read(whole)).toEqual(parseServersState(whole))
    const text = whole.slice(0, length)
    if (text.includes('\n3')) expect(reader.read(text)).toEqual(parseServersState(text))
    else expect(reader.read(text).size).toBe(0)
  }
})

const BASE: Told = { id: 1, ip: '10.0.0.1', up: 2, admin: 0, weight: 1, sinceS: 1, checks: 6, port: 80 }

test('who has not changed is the same object, and where nobody has, the map is the same', () => {
  const reader = new StatesReader()
  const first = reader.read(shown([BASE, { ...BASE, id: 2 }]))
  expect(
    reader.read(
      shown([
        { ...BASE, sinceS: 2 },
        { ...BASE, id: 2, checks: 7 },
      ]),
    ),
  ).toBe(first)
  const second = reader.read(shown([BASE, { ...BASE, id: 2, weight: 11 }]))
  expect(second).not.toBe(first)
  expect(second.get('web/slot1')).toBe(first.get('web/slot1'))
  expect(second.get('web/slot2')?.weight).toBe(11)
})
