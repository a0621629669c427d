import { type Command, InvalidArgumentError, Option } from 'commander'

/** How a command that asks a running agent over Serf's RPC looks on the command line; what it does is loaded when it is called. */
interface RingCommand {
  /** With its arguments: `event <name> [payload]`. */
  readonly usage: string
  readonly description: string
  readonly options: readonly Option[]
  readonly example: string
  /** False for what needs no agent. */
  readonly isLocal?: boolean
  // biome-ignore format: one line reads better
  readonly load: () => Promise<(options: object, args: readonly string[]) => Promise<void>>
}

const flag = (flags: string, description: string) => new Option(flags, description)
const list = (flags: string, description: string) =>
  new Option(flags, `${description}; repeatable`).argParser((text: string, before: string[] | undefined) => [
    ...(before ?? []),
    text,
  ])
const format = () => flag('--format <FORMAT>', "Serf's name for -o")

const RING_COMMANDS: readonly RingCommand[] = [
  {
    usage: 'members',
    description: 'list the members of the ring',
    options: [
      flag('--name <RE>', 'only names that match'),
      flag('--status <RE>', 'only statuses that match: alive, leaving, left, failed'),
      flag('--role <RE>', 'deprecated: --tag role=RE'),
      list('--tag <KEY=RE>', 'only tags that match'),
      flag('--detailed', 'protocol versions, too'),
      flag('--watch', 'stay, and show each change; Ctrl-C ends'),
      format(),
    ],
    example: 'muster members -status alive -tag role=backend -o json',
    load: async () => (await import('./members.ts')).runMembers,
  },
  {
    usage: 'join <address...>',
    description: 'tell the agent to join a ring by any of its members',
    options: [flag('--replay', 'replay old user events')],
    example: 'muster join 10.0.0.2 10.0.0.3:7946',
    load: async () => (await import('./join.ts')).runJoin,
  },
  {
    usage: 'leave',
    description:
      'drain, leave the ring, and end the agent; refused (exit 4) where a pool would have too few servers left, or no balancer',
    options: [
      flag('--force', 'all the same; wants a reason'),
      flag('--reason <TEXT>', 'why, for the journal'),
      flag('--socket <PATH>', "the agent's unix socket (MUSTER_API_SOCKET, else /run/muster/agent.sock)"),
    ],
    example: 'muster leave -force -reason "the rack is moved"',
    load: async () => (await import('./leave.ts')).runLeave,
  },
  {
    usage: 'force-leave <node>',
    description: 'count a failed member as left',
    options: [flag('--prune', 'forget it altogether')],
    example: 'muster force-leave -prune web-7',
    load: async () => (await import('./force-leave.ts')).runForceLeave,
  },
  {
    usage: 'event <name> [payload]',
    description: 'send a user event to every member',
    options: [flag('--coalesce <BOOL>', 'whether events of one name within 3 s become one (true)')],
    example: 'muster event -coalesce=false deploy v42',
    load: async () => (await import('./event.ts')).runEvent,
  },
  {
    usage: 'query <name> [payload]',
    description: 'ask the ring, and print who answers what until the deadline',
    options: [
      list('--node <NAME>', 'only this node'),
      list('--tag <KEY=RE>', 'only nodes whose tag matches'),
      flag('--timeout <DURATION>', 'how long to wait (3.2 s in a ring of up to 9, 6.4 s up to 99, and so on)'),
      flag('--no-ack', 'ask for no acknowledgements'),
      flag('--relay-factor <N>', 'answers also by way of so many others, 0 to 255 (0)'),
      format(),
    ],
    example: 'muster query -timeout 2s -tag role=backend load -o json',
    load: async () => (await import('./query.ts')).runQuery,
  },
  {
    usage: 'monitor',
    description: "follow the agent's log and the ring's events; Ctrl-C ends",
    options: [
      flag('--log-level <LEVEL>', 'trace, debug, info, warn or err (info)'),
      flag(
        '--since <INDEX>',
        'numbered events after this one, without a gap; 0: all that are kept, `now`: from now on',
      ),
      flag('--socket <PATH>', "with --since: the agent's unix socket (MUSTER_API_SOCKET, else /run/muster/agent.sock)"),
    ],
    example: 'muster monitor -since 1763714087123000',
    load: async () => (await import('./monitor.ts')).runMonitor,
  },
  {
    usage: 'tags',
    description: "print the agent's tags, or change them",
    options: [list('--set <KEY=VALUE>', 'set a tag'), list('--delete <KEY>', 'take a tag away')],
    example: 'muster tags -set release=42 -delete canary',
    load: async () => (await import('./tags.ts')).runTags,
  },
  {
    usage: 'keys',
    description: 'list or change the keys that the ring is encrypted with',
    options: [
      flag('--list', 'the keys, and how many nodes have each'),
      flag('--install <KEY>', 'give every node a further key'),
      flag('--use <KEY>', 'encrypt with this key, which every node has'),
      flag('--remove <KEY>', 'take a key away that is not in use'),
    ],
    example: 'key=$(muster keygen) && muster keys -install "$key" && muster keys -use "$key"',
    load: async () => (await import('./keys.ts')).runKeys,
  },
  {
    usage: 'keygen',
    description: 'print a new key of 32 random bytes',
    options: [],
    example: 'muster agent -encrypt "$(muster keygen)"',
    isLocal: true,
    load: async () => (await import('./keygen.ts')).runKeygen,
  },
  {
    usage: 'info',
    description: 'what the agent says of itself',
    options: [format()],
    example: 'muster info -o json',
    load: async () => (await import('./info.ts')).runInfo,
  },
  {
    usage: 'rtt <node> [other]',
    description: 'the estimated round trip between two members, or from one to the agent',
    options: [],
    example: 'muster rtt web-1 web-2',
    load: async () => (await import('./rtt.ts')).runRtt,
  },
  {
    usage: 'reachability',
    description: 'ask every live member for an answer, and name those that give none',
    options: [flag('--verbose', 'name each that answers')],
    example: 'muster reachability -verbose',
    load: async () => (await import('./reachability.ts')).runReachability,
  },
]

export function addRingCommands(muster: Command): void {
  for (const one of RING_COMMANDS) {
    const command = muster.command(one.usage).description(one.description).allowExcessArguments(false)
    for (const option of one.options) command.addOption(option)
    command.addOption(flag('-o, --output <FORMAT>', 'text or json (text)').argParser(formatFrom))
    if (one.isLocal !== true) withRpcOptions(command)
    command.addHelpText('after', `\nExample:\n  $ ${one.example}`)
    command.action(async () => (await one.load())(command.opts(), command.args))
  }
}

function formatFrom(text: string): string {
  if (text === 'text' || text === 'json') return text
  throw new InvalidArgumentError('Write text or json.')
}

function withRpcOptions(command: Command): void {
  command.option('--rpc-addr <ADDR>', "the agent's RPC address (SERF_RPC_ADDR, else 127.0.0.1:7373)")
  command.option('--rpc-auth <KEY>', 'its key (SERF_RPC_AUTH)')
}
