// Completes package-lock.json after an `npm install` against a registry that does not carry every platform's build of
// a package: npm then leaves those optional packages out of the lock file, and `npm ci` refuses it everywhere. Adds the
// missing entries, with the platform that their names tell; npm skips them wherever the platform is another.
import { readFileSync, writeFileSync } from 'node:fs'

const OSES = { android: 'android', darwin: 'darwin', linux: 'linux', win32: 'win32', windows: 'win32' }
for (const os of ['freebsd', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'aix']) OSES[os] = os
const CPUS = {
  arm64: 'arm64',
  x64: 'x64',
  ia32: 'ia32',
  arm: 'arm',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
}
for (const cpu of ['loong64', 'mips64el', 'wasm32']) CPUS[cpu] = cpu

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const packages = lock.packages
for (const [path, entry] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (packages[`${path}/node_modules/${name}`] || packages[`node_modules/${name}`]) continue
    packages[`node_modules/${name}`] = entryOf(name, version, entry.dev === true)
    console.error(`added ${name}@${version}`)
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`)

function entryOf(name, version, dev) {
  const words = name.split('/').at(-1).split('-')
  const os = name === 'fsevents' ? 'darwin' : words.map(word => OSES[word]).find(Boolean)
  const cpu = words.map(word => CPUS[word]).find(Boolean)
  const libc = words.some(word => word.startsWith('musl')) ? 'musl' : words.includes('gnu') ? 'glibc' : undefined
  return {
    version: version.replace(/^[~^]/, ''),
    ...(cpu && { cpu: [cpu] }),
    ...(dev && { dev }),
    ...(libc && { libc: [libc] }),
    optional: true,
    ...(os && { os: [os] }),
  }
}
