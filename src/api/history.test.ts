import { expect, test } from 'vitest'
import { historyAskOf } from './history.ts'

const ask = (query: string) => historyAskOf(new URLSearchParams(query))

test('times are milliseconds or ISO 8601; nothing is asked for that was not said', () => {
  expect(ask('')).toEqual({})
  expect(ask('at=1763726587000')).toEqual({ at: 1763726587000 })
  expect(ask('since=2026-11-21T12:03:07Z&until=2026-11-21T13:03:07.5%2B01:00')).toEqual({
    sinceMs: Date.UTC(2026, 10, 21, 12, 3, 7),
    untilMs: Date.UTC(2026, 10, 21, 12, 3, 7, 500),
  })
  expect(ask('kind=member,guard&what=web-2&limit=5&after=7&before=9')).toEqual({
    ...{ kinds: ['member', 'guard'], what: 'web-2', limit: 5, after: 7, before: 9 },
  })
})

test('what cannot be understood is refused by its name', () => {
  const refusals: [string, RegExp][] = [
    ['at=noon', /^at: "noon" is no time/],
    ['since=2026-11-21', /^since: .* is no time/],
    ['kind=snapshot', /^kind: "snapshot" is none of member, service/],
    ['limit=0', /^limit: 0 is not 1 to 1000/],
    ['limit=1001', /not 1 to 1000/],
    ['after=-1', /^after: "-1" is not a whole number/],
    ['before=99999999999999999', /not a whole number/],
    [`what=${'x'.repeat(257)}`, /^what: at most 256/],
  ]
  for (const [query, sentence] of refusals) expect(() => ask(query), query).toThrow(sentence)
})
