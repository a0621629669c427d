import { expect, test } from 'vitest'
import { silenceText } from './run.ts'

test('a site that gives no answer has kept COMMAND from being started, where there is one', () => {
  expect(silenceText('http://lb/', 'ECONNREFUSED', ['./deploy.sh'])).toContain('COMMAND was not started')
  expect(silenceText('http://lb/', 'ECONNREFUSED', undefined)).toBe(
    'http://lb/ gives no good answer (ECONNREFUSED); nothing is proved',
  )
})
