import { type RpcClient, type RpcKeyAnswer, RpcKeyError } from '../serf/index.ts'
import { formatOf, type OutputOptions, print, printJson, tell } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { formatTable } from './table.ts'
import { UsageError } from './usage-error.ts'

interface KeysOptions extends RpcOptions, OutputOptions {
  readonly list?: boolean
  readonly install?: string
  readonly use?: string
  readonly remove?: string
}

/** Lists or changes the keys of every member. Each node that failed is named, and the exit status is 1. */
export async function runKeys(options: KeysOptions): Promise<void> {
  const act = actionFrom(options)
  const format = formatOf(options)
  const answer = await withRpc(options, act.ask).catch((failure: unknown) => {
    if (!(failure instanceof RpcKeyError)) throw failure
    tellNodes(failure.answer)
    if (format === 'json') printJson(failure.answer)
    const advice = 'each node says why above; the rest have done it, and repeating the command is safe'
    throw new RpcKeyError(`${failure.message}: ${advice}`, failure.answer)
  })
  tellNodes(answer)
  if (format === 'json') return printJson(answer)
  tell(act.done)
  const rows = Object.entries(answer.keys).map(([key, count]) => [key, `[${count}/${answer.nodes}]`])
  if (rows.length > 0) print(formatTable(rows))
}

function tellNodes({ messages }: RpcKeyAnswer): void {
  const rows = Object.entries(messages).map(([node, text]) => [node, text])
  if (rows.length > 0) tell(formatTable(rows))
}

interface Action {
  readonly ask: (client: RpcClient) => Promise<RpcKeyAnswer>
  readonly done: string
}

function actionFrom({ list, install, use, remove }: KeysOptions): Action {
  const actions: Action[] = []
  if (list === true)
    actions.push({ ask: client => client.listKeys(), done: 'Keys gathered, and how many nodes have each' })
  if (install !== undefined)
    actions.push({ ask: client => client.installKey(install), done: 'Successfully installed key!' })
  if (use !== undefined) actions.push({ ask: client => client.useKey(use), done: 'Successfully changed primary key!' })
  if (remove !== undefined) actions.push({ ask: client => client.removeKey(remove), done: 'Successfully removed key!' })
  const [action, ...more] = actions
  if (action === undefined || more.length > 0)
    throw new UsageError('Say one of -list, -install KEY, -use KEY and -remove KEY')
  return action
}
