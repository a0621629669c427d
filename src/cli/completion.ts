import type { Command } from 'commander'

/** One command of the tree, as far as completing it needs. */
interface Word {
  readonly name: string
  readonly description: string
  /** What its first argument may be; empty where that is free. */
  readonly choices: readonly string[]
  readonly takesFile: boolean
  readonly options: readonly {
    readonly flags: readonly string[]
    readonly description: string
    readonly takesValue: boolean
  }[]
}

/** Of a command that reads its options itself. */
export interface OwnOptions {
  /** Its help, which has a line for each option. */
  readonly help: string
  /** As `parseArgs` takes them. */
  readonly options: Readonly<Record<string, { readonly type: 'string' | 'boolean'; readonly short?: string }>>
  /** What its first argument may be. */
  readonly choices: readonly string[]
  /** Or a file. */
  readonly takesFile: boolean
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** A script that completes commands and options as `program` and, by command, `own` have them; where neither fits, file names. */
export function completionScript(
  shell: Shell,
  program: Command,
  own: Readonly<Record<string, OwnOptions>> = {},
): string {
  const words = program.commands.map(command => {
    const options = own[command.name()]
    return options === undefined ? wordOf(command) : ownWordOf(command, options)
  })
  if (shell === 'bash') return bashScript(program.name(), words)
  return shell === 'zsh' ? zshScript(program.name(), words) : fishScript(program.name(), words)
}

function wordOf(command: Command): Word {
  return {
    name: command.name(),
    description: command.description(),
    choices: command.registeredArguments[0]?.argChoices ?? [],
    takesFile: false,
    options: command.options.map(option => ({
      flags: [option.short, option.long].filter(text => text !== undefined),
      description: option.description,
      takesValue: option.required || option.optional,
    })),
  }
}

function ownWordOf(command: Command, { help, options, choices, takesFile }: OwnOptions): Word {
  const named = Object.entries(options).filter(([name]) => name !== 'help')
  return {
    ...{ name: command.name(), description: command.description(), choices, takesFile },
    options: named.map(([name, { type, short }]) => ({
      flags: [...(short === undefined ? [] : [`-${short}`]), `--${name}`],
      description: new RegExp(`^ +(?:-\\w, )?--${name}(?: \\S+)? {2,}(.*)$`, 'm').exec(help)?.[1] ?? '',
      takesValue: type === 'string',
    })),
  }
}

const flagsOf = ({ options }: Word) => [...options.flatMap(({ flags }) => flags), '--help'].join(' ')
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

function bashScript(name: string, words: readonly Word[]): string {
  const cases = words.map(
    word => `    ${word.name}) words=${quoted(flagsOf(word))} choices=${quoted(word.choices.join(' '))} ;;`,
  )
  return `# ${name} completion bash: source it, or put it into /etc/bash_completion.d/${name}
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} words= choices=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=${quoted(words.map(word => word.name).join(' '))}
  else case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac; fi
  [ "$COMP_CWORD" -gt 1 ] && [ "\${word#-}" = "$word" ] && words=$choices
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _${name} ${name}
`
}

function zshScript(name: string, words: readonly Word[]): string {
  const described = (text: string, description: string) => quoted(`${text.replaceAll(':', '\\:')}:${description}`)
  const cases = words.map(word => {
    const options = word.options.flatMap(({ flags, description }) => flags.map(text => described(text, description)))
    return `    ${word.name}) choices=(${[...options, described('--help', 'say more')].join(' ')}) values=(${word.choices.join(' ')}) ;;`
  })
  return `#compdef ${name}
# ${name} completion zsh: put it as _${name} into a directory of $fpath
_${name}() {
  local -a choices values
  if (( CURRENT == 2 )); then
    choices=(${words.map(word => described(word.name, word.description)).join(' ')})
    _describe command choices
    return
  fi
  case $words[2] in
${cases.join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then _describe option choices
  elif (( $#values )) && compadd -a values; then return
  else _files; fi
}
_${name} "$@"
`
}

function fishScript(name: string, words: readonly Word[]): string {
  const lines = words.flatMap(word => [
    `complete -c ${name} -f -n __fish_use_subcommand -a ${word.name} -d ${fishQuoted(word.description)}`,
    ...word.choices.map(
      choice =>
        `complete -c ${name}${word.takesFile ? '' : ' -f'} -n '__fish_seen_subcommand_from ${word.name}' -a ${choice}`,
    ),
    ...word.options.map(({ flags, description, takesValue }) => {
      const names = flags.map(text => (text.startsWith('--') ? `-l ${text.slice(2)}` : `-s ${text.slice(1)}`))
      const value = takesValue ? ' -r' : ''
      const when = `'__fish_seen_subcommand_from ${word.name}'`
      return `complete -c ${name} -n ${when} ${names.join(' ')}${value} -d ${fishQuoted(description)}`
    }),
  ])
  return `# ${name} completion fish: put it into ~/.config/fish/completions/${name}.fish\n${lines.join('\n')}\n`
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
