// Writes the JSON Schema: npx tsx schema/renew.ts && npx biome format --write schema
import { writeFileSync } from 'node:fs'
import { schemaDocument } from '../src/agent/config/document.ts'

writeFileSync(new URL('muster.schema.json', import.meta.url), schemaDocument())
