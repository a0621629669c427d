import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { configurationDocument, schemaDocument } from './document.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

test('docs/configuration.md says what the schema says (to renew: npx vitest run src/agent/config -u)', async () => {
  await expect(configurationDocument()).toMatchFileSnapshot(`${root}docs/configuration.md`)
})

test('schema/muster.schema.json is what the agent checks (to renew: npx tsx schema/renew.ts)', () => {
  const published: unknown = JSON.parse(readFileSync(`${root}schema/muster.schema.json`, 'utf8'))
  expect(published).toEqual(JSON.parse(schemaDocument()))
})
