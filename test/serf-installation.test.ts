/** A Serf installation as it is, with Debian's unit: the Serf agent first, then Muster in its place, then Serf again. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { Space } from './ground.ts'
import { eventually, type MemberRow, Part, part } from './parts.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
/** Of Debian's package, wherever that was put. */
const unit = () => resolve(part('serf'), '../../../lib/systemd/system/serf.service')
const IP = '10.9.9.1'
const RPC = [`-rpc-addr=${IP}:7373`, '-rpc-auth=sekret']
const WITH_PID = 'echo $$ > "$0.new" && mv "$0.new" "$0" && exec "$@"'

/** What the unit starts, as its words; its paths are below `root`. */
function execStart(root: string): string[] {
  const line = /^ExecStart=(.*)$/m.exec(readFileSync(unit(), 'utf8'))?.[1]
  if (line === undefined) throw new Error(`${unit()} starts nothing; apt-get install serf`)
  return line.split(' ').map(word => word.replace('/usr/bin/', `${root}/usr/bin/`).replace('/etc/', `${root}/etc/`))
}

/** The file system of an installation, with a handler and every file that Serf's keys name. */
function installation(root: string): void {
  for (const folder of ['usr/bin', 'etc/serf', 'var/lib/serf', 'path'])
    mkdirSync(join(root, folder), { recursive: true })
  const handler = join(root, 'etc/serf/handler.sh')
  writeFileSync(handler, `#!/bin/sh\necho "$SERF_EVENT $SERF_USER_EVENT" >> ${root}/handled\n`)
  chmodSync(handler, 0o755)
  writeFileSync(join(root, 'var/lib/serf/keyring.json'), JSON.stringify([Buffer.alloc(16, 3).toString('base64')]))
  const everything = {
    ...{ node_name: 'web-1', bind: `${IP}:7946`, advertise: `${IP}:7946`, interface: 'lo', rpc_addr: `${IP}:7373` },
    ...{
      rpc_auth: 'sekret',
      log_level: 'DEBUG',
      protocol: 5,
      replay_on_join: true,
      start_join: [IP],
      retry_join: [IP],
    },
    ...{ retry_interval: '15s', retry_max_attempts: 3, profile: 'local', rejoin_after_leave: true },
    ...{ snapshot_path: `${root}/var/lib/serf/snapshot`, keyring_file: `${root}/var/lib/serf/keyring.json` },
    ...{
      tags_file: `${root}/var/lib/serf/tags.json`,
      event_handlers: [`user:deploy=${handler}`, `member-join=${handler}`],
    },
    ...{ leave_on_terminate: true, skip_leave_on_interrupt: true, reconnect_interval: '20s', reconnect_timeout: '12h' },
    ...{ tombstone_timeout: '12h', disable_name_resolution: true, query_response_size_limit: 2048 },
    ...{
      query_size_limit: 2048,
      user_event_size_limit: 1024,
      broadcast_timeout: '6s',
      statsite_addr: '127.0.0.1:8125',
    },
    ...{ statsd_addr: '127.0.0.1:8125', enable_compression: true, disable_coordinates: true, discover: 'shop' },
  }
  writeFileSync(join(root, 'etc/serf/10-everything.json'), JSON.stringify(everything))
  // Later than Debian's Serf; and there is no syslog here.
  const newer = {
    enable_syslog: true,
    syslog_facility: 'LOCAL3',
    validate_node_names: true,
    mdns: { disable_ipv6: true },
  }
  writeFileSync(join(root, 'newer.json'), JSON.stringify(newer))
  const logger = `#!/bin/sh\nexec ${part('logger')} --no-act --socket-errors=off --stderr "$@" 2> ${root}/syslog\n`
  writeFileSync(join(root, 'path/logger'), logger)
  chmodSync(join(root, 'path/logger'), 0o755)
}

/** From the first line about the node to the last. */
function bannerOf(output: string): string[] {
  return output
    .split('\n')
    .filter(line => /^ {4}[\w ]*(Node name|addr|Encrypted|Snapshot|Profile|Enabled|cluster): /.test(line))
}

test('files, data and unit of a Serf installation start Muster unchanged, and Serf again after it', async () => {
  const root = mkdtempSync(join(tmpdir(), 'serf-installation-'))
  installation(root)
  await using space = await Space.open({ ownNetwork: true })
  await space.exec('sh', '-c', `ip link set lo up && ip addr add ${IP}/24 dev lo`)
  const start = async (program: string) => {
    rmSync(join(root, 'usr/bin/serf'), { force: true })
    symlinkSync(program, join(root, 'usr/bin/serf'))
    rmSync(join(root, 'pid'), { force: true })
    const env = {
      PATH: `${root}/path:${process.env['PATH']}`,
      MUSTER_STATE_DIR: `${root}/s`,
      MUSTER_RUN_DIR: `${root}/r`,
    }
    const started = new Part([...space.enter, 'sh', '-c', WITH_PID, join(root, 'pid'), ...execStart(root)], env)
    await eventually(
      () => started.output,
      output => output.includes('Log data will now stream in as it occurs:'),
    )
    return started
  }
  const serf = (command: string, ...argv: string[]) => space.exec(part('serf'), command, ...RPC, ...argv)
  const end = async (started: Part, signal: string) => {
    await space.exec('kill', '-s', signal, readFileSync(join(root, 'pid'), 'utf8').trim())
    return await started.exited
  }
  const self = async () => {
    const { members } = JSON.parse(await serf('members', '-format=json')) as { members: MemberRow[] }
    return members.map(({ name, addr, tags, status }) => ({ name, addr, tags, status }))
  }
  const handled = (line: string) =>
    eventually(
      () => readFileSync(join(root, 'handled'), 'utf8').split('\n'),
      lines => lines.includes(line),
    )
  const clockOf = async () => Number(/event_time = (\d+)/.exec(await serf('info'))?.[1])
  try {
    const real = await start(part('serf'))
    await serf('tags', '-set', 'dc=east')
    await serf('event', 'deploy')
    await handled('user deploy')
    const [banner, row, clock] = [bannerOf(real.output), await self(), await clockOf()]
    expect(banner).toHaveLength(9)
    expect(row).toEqual([{ name: 'web-1', addr: `${IP}:7946`, tags: { dc: 'east' }, status: 'alive' }])
    await end(real, 'INT')

    rmSync(join(root, 'handled'))
    writeFileSync(join(root, 'etc/serf/20-newer.json'), readFileSync(join(root, 'newer.json')))
    const ours = await start(MUSTER)
    expect(ours.output).toMatch(
      /^==> Starting Serf agent\.\.\.\n==> Starting Serf agent RPC\.\.\.\n==> Serf agent running!\n {4}/,
    )
    expect(bannerOf(ours.output)).toEqual(banner)
    expect(await self()).toEqual(row)
    expect(await clockOf()).toBeGreaterThanOrEqual(clock)
    await handled('member-join ')
    await serf('event', 'deploy')
    console.log('H')
    await handled('user deploy')
    await serf('tags', '-set', 'zone=b')
    for (const key of ['statsite_addr', 'statsd_addr'])
      expect(ours.output).toMatch(new RegExp(`^ {4}\\S+ \\S+ \\[WARN\\] agent: .*"${key}" has no effect: `, 'm'))
    expect(ours.output).toContain('cluster.retry_max has no effect: muster tries to join for ever')
    const logged = () => (existsSync(join(root, 'syslog')) ? readFileSync(join(root, 'syslog'), 'utf8') : '')
    await eventually(logged, text => /^<156>.* serf\[\d+\]: agent: .*statsd_addr/m.test(text)) // 19 (LOCAL3) · 8 + 4 (warning)
    await space.exec('kill', '-s', 'USR1', readFileSync(join(root, 'pid'), 'utf8').trim()) // Serf prints metrics
    await eventually(
      () => ours.output,
      output => output.includes('SIGUSR1 prints no metrics here'),
    )
    expect(ours.output).not.toContain('Debugger')
    expect(await end(ours, 'INT')).toBe(0)

    rmSync(join(root, 'etc/serf/20-newer.json'))
    const again = await start(part('serf'))
    expect(await self()).toEqual([{ ...row[0], tags: { dc: 'east', zone: 'b' } }])
    await end(again, 'INT')
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}, 90_000)
