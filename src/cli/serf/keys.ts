import { messageOf } from '../../base/index.ts'
import { type RpcClient, type RpcKeyAnswer, RpcKeyError } from '../../serf/index.ts'
import { withAgent } from './connect.ts'
import { type Console, flagsOf, type SerfCommand, say } from './console.ts'
import { columns } from './go-text.ts'
import { HELP } from './texts.ts'

interface Action {
  readonly act: (client: RpcClient, key: string) => Promise<RpcKeyAnswer>
  readonly first: string
  readonly success: string
  readonly failure: string
}

const ACTIONS = {
  install: {
    act: (client, key) => client.installKey(key),
    first: 'Installing key on all members...',
    success: 'Successfully installed key!',
    failure: 'Error installing key',
  },
  use: {
    act: (client, key) => client.useKey(key),
    first: 'Changing primary key on all members...',
    success: 'Successfully changed primary key!',
    failure: 'Error changing primary key',
  },
  remove: {
    act: (client, key) => client.removeKey(key),
    first: 'Removing key on all members...',
    success: 'Successfully removed key!',
    failure: 'Error removing key',
  },
  list: {
    act: client => client.listKeys(),
    first: 'Asking all members for installed keys...',
    success: 'Keys gathered, listing cluster keys...',
    failure: 'Failed to gather member keys',
  },
} as const satisfies Record<string, Action>

const FLAGS = { install: 'text', use: 'text', remove: 'text', list: 'boolean' } as const

export const keys: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'keys', FLAGS, args)
  if (parsed === undefined) return 1
  const { flags } = parsed
  const names = (Object.keys(ACTIONS) as (keyof typeof ACTIONS)[]).filter(
    name => flags[name] !== undefined && flags[name] !== '' && flags[name] !== false,
  )
  const [name, ...more] = names
  if (more.length > 0) return say(console, 'Only one of -install, -use, -remove, or -list allowed')
  if (name === undefined) {
    console.out(HELP.keys)
    return 1
  }
  const key = name === 'list' ? '' : (flags[name] ?? '')
  return withAgent(console, flags, client => perform(console, client, ACTIONS[name], key))
}

async function perform(console: Console, client: RpcClient, action: Action, key: string): Promise<number> {
  say(console, `==> ${action.first}`)
  let answer: RpcKeyAnswer
  try {
    answer = await action.act(client, key)
  } catch (failure) {
    const messages = failure instanceof RpcKeyError ? Object.entries(failure.answer.messages) : []
    if (messages.length > 0) say(console, columns(messages.map(([node, text]) => `failed: | ${node} | ${text}`)))
    return say(console, `\n${action.failure}: ${messageOf(failure)}`)
  }
  say(console, `==> ${action.success}`)
  if (action === ACTIONS.list) {
    const lines = Object.entries(answer.keys).map(([text, count]) => `${text} | [${count}/${answer.nodes}]`)
    say(console, `\n${columns(lines)}`)
  }
  return 0
}
