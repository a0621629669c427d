// Bundles every room's door and the command line into dist/, so that the published package has no dependencies to
// resolve, then writes the declarations. `import()` stays a border: a backend agent never loads the template engine.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { rolldown } from 'rolldown'

const rooms = readdirSync('src', { withFileTypes: true }).filter(entry => existsSync(`src/${entry.name}/index.ts`))
const input = Object.fromEntries(rooms.map(room => [room.name, `src/${room.name}/index.ts`]))
if (existsSync('src/cli/main.ts')) input.main = 'src/cli/main.ts'
if (existsSync('examples/webapp/main.ts')) input.webapp = 'examples/webapp/main.ts'

rmSync('dist', { recursive: true, force: true })
const bundle = await rolldown({ input, platform: 'node', transform: { target: 'node20' }, logLevel: 'warn' })
await bundle.write({ dir: 'dist', format: 'esm', minify: false, chunkFileNames: 'chunks/[name]-[hash].js' })
await bundle.close()
if (process.argv.includes('--types')) {
  execFileSync(
    'npx',
    [
      'tsc',
      '--noEmit',
      'false',
      '--emitDeclarationOnly',
      '--declaration',
      '--rootDir',
      'src',
      '--outDir',
      'dist',
      '-p',
      'tsconfig.build.json',
    ],
    { stdio: 'inherit' },
  )
}
