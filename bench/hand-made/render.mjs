// node render.mjs TEMPLATE MEMBERS: what handlebars-cmd does with a list of members, one `name ip` a line.
import { readFileSync } from 'node:fs'
import Handlebars from 'handlebars'

const [template, members] = process.argv.slice(2).map(path => readFileSync(path, 'utf8'))
const addresses = members
  .split('\n')
  .filter(line => line !== '')
  .map(line => ({ host: line.split(' ')[0], ip: line.split(' ')[1] }))
process.stdout.write(Handlebars.compile(template, { noEscape: true })({ addresses, env: process.env }))
