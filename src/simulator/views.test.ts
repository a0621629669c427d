import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import { Views } from './views.ts'

test('agreement is what counting every pair anew would give, whatever happens in whichever order', () => {
  const random = seededRandom(3)
  const views = new Views()
  const members = 8
  const running = new Set<number>()
  const beliefs = new Map<number, Set<number>>()
  let subjects = 0
  for (let step = 0; step < 2000; step++) {
    const [member, other] = [random.below(members), random.below(members)]
    const act = random.below(6)
    if (act === 0) {
      views.started(member)
      running.add(member)
      beliefs.set(member, new Set([member]))
      subjects = Math.max(subjects, member + 1)
    } else if (act === 1) {
      views.gone(member)
      running.delete(member)
      beliefs.delete(member)
    } else if (other < subjects) {
      const known = beliefs.get(member)
      views.saw(member, other, act % 2 === 0)
      if (act % 2 === 0) known?.add(other)
      else known?.delete(other)
    }
    let right = 0
    for (const known of beliefs.values())
      for (let subject = 0; subject < subjects; subject++) if (known.has(subject) === running.has(subject)) right++
    const pairs = running.size * subjects
    expect(views.agreement).toBeCloseTo(pairs === 0 ? 1 : right / pairs, 10)
  }
})

test('a formed ring agrees, and knows itself', () => {
  const views = new Views()
  views.form(5)
  expect(views.agreement).toBe(1)
  expect(views.believes(2, 4)).toBe(true)
  views.saw(0, 4, false)
  expect(views.agreement).toBe(1 - 1 / 25)
})
