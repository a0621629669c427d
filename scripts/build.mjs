// Bundles every room's door and the command line into dist/, so that the published package has no dependencies to
// resolve, then (--types) writes the declarations. `import()` stays a border: a backend agent never loads the template
// engine. The new dist/ takes the old one's place whole, so that nobody starts from half of it.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { rolldown } from 'rolldown'

const rooms = readdirSync('src', { withFileTypes: true }).filter(entry => existsSync(`src/${entry.name}/index.ts`))
const input = Object.fromEntries(rooms.map(room => [room.name, `src/${room.name}/index.ts`]))
input.main = 'src/cli/main.ts'
input.webapp = 'examples/webapp/main.ts'

const fresh = `dist-${process.pid}.tmp`
const old = `dist-old-${process.pid}.tmp`
process.on('exit', () => {
  for (const path of [fresh, old]) rmSync(path, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

const bundle = await rolldown({ input, platform: 'node', transform: { target: 'node20' }, logLevel: 'warn' })
// Names stay, for stack traces; without white space and comments an agent is 0.7 MiB smaller.
await bundle.write({
  dir: fresh,
  format: 'esm',
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  chunkFileNames: 'chunks/[name]-[hash].js',
})
await bundle.close()
if (process.argv.includes('--types')) {
  const options = ['--noEmit', 'false', '--emitDeclarationOnly', '--declaration', '--rootDir', 'src', '--outDir', fresh]
  execFileSync('npx', ['tsc', ...options, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
}
if (existsSync('dist')) renameSync('dist', old)
renameSync(fresh, 'dist')
