import { execFileSync } from 'node:child_process'
import { Argument, Command, Option } from 'commander'
import { expect, test } from 'vitest'
import { completionScript, SHELLS } from './completion.ts'
import { OWN_OPTIONS } from './own-options.ts'
import { program as muster } from './program.ts'

function program(): Command {
  const muster = new Command('muster')
  const members = muster.command('members').description("list the ring's members")
  members.addOption(new Option('-o, --output <FORMAT>', 'text or json')).option('--watch', 'stay')
  muster.command('monitor').description('follow')
  muster.command('completion').addArgument(new Argument('<shell>', 'which').choices(SHELLS))
  return muster
}

/** What bash would offer for the last of `words`. */
function offered(...words: string[]): string {
  return offeredBy(completionScript('bash', program()), ...words)
}

function offeredBy(script: string, ...words: string[]): string {
  const ask = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMPREPLY=(); _muster; echo "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', ask, 'bash', ...words], { encoding: 'utf8' }).trim()
}

test('bash completes commands, options and the choices of an argument; elsewhere it is left to file names', () => {
  expect(offered('muster', 'm')).toBe('members monitor')
  expect(offered('muster', 'members', '-')).toBe('-o --output --watch --help')
  expect(offered('muster', 'members', '--w')).toBe('--watch')
  expect(offered('muster', 'completion', 'z')).toBe('zsh')
  expect(offered('muster', 'members', 'x')).toBe('')
})

test('demo, prove and sim, which read their options themselves, are completed as they read them', () => {
  const words = (...typed: string[]) => offeredBy(completionScript('bash', muster(), OWN_OPTIONS), ...typed).split(' ')
  for (const [name, { options, help }] of Object.entries(OWN_OPTIONS)) {
    const flags = Object.keys(options).map(flag => `--${flag}`)
    expect(words('muster', name, '--').toSorted()).toEqual(flags.toSorted())
    for (const flag of flags.filter(one => one !== '--help'))
      expect(help).toMatch(new RegExp(`^ +(-o, )?${flag} `, 'm'))
  }
  expect(words('muster', 'prove', 'c')).toEqual(['churn', 'crash'])
  expect(words('muster', 'sim', 'l')).toEqual(['lifeguard'])
  const fish = completionScript('fish', muster(), OWN_OPTIONS)
  expect(fish).toContain(
    "__fish_seen_subcommand_from demo' -l seconds -r -d 'length of the check, 35 to 3600 (default 60)'",
  )
})

test('zsh gets a function of the command tree, with descriptions', () => {
  const script = completionScript('zsh', program())
  expect(script).toMatch(/^#compdef muster\n/)
  expect(script).toContain("'members:list the ring'\\''s members'")
  expect(script).toContain(
    "members) choices=('-o:text or json' '--output:text or json' '--watch:stay' '--help:say more')",
  )
})

test('fish gets a line per command, option and choice', () => {
  const lines = completionScript('fish', program()).split('\n')
  expect(lines).toContain("complete -c muster -f -n __fish_use_subcommand -a members -d 'list the ring\\'s members'")
  expect(lines).toContain(
    "complete -c muster -n '__fish_seen_subcommand_from members' -s o -l output -r -d 'text or json'",
  )
  expect(lines).toContain("complete -c muster -f -n '__fish_seen_subcommand_from completion' -a fish")
})
