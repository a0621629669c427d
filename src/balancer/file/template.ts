import { listens, parseStructure } from './config-structure.ts'
import type { TemplateData } from './data.ts'
import { messageOf } from '../../base/index.ts'
import { TemplateError } from '../errors.ts'

/** Text of the file for some data. @throws TemplateError when Handlebars fails while it renders */
export interface Render {
  (data: TemplateData): string
  /** It declares numbered servers, which members take while HAProxy runs; otherwise it has a line for each of them. */
  readonly usesSlots?: boolean
}

/** The names that the data has at one place. */
interface Shape {
  readonly [name: string]: Names
}

/** `value` has no names; of `any` nothing is known: an item of a list that is empty today. */
type Names = Shape | 'value' | 'any'

const SERVER: Shape = names('server id member host ip port address weight disabled draining')
const ADDRESS: Shape = names('host ip port')
const ROUTE: Shape = {
  ...names('id path condition pool'),
  hosts: { [elementKey()]: names('match value') },
}
const DATA: Shape = {
  node: names('name ip'),
  frontends: {
    [elementKey()]: {
      ...names('name tcp bind pool tls redirectToHttps httpsPort timeoutClientMs'),
      binds: { [elementKey()]: 'value' },
      routes: { [elementKey()]: ROUTE },
    },
  },
  pools: {
    [elementKey()]: {
      ...names('name tcp balance sticky cookieName cookieKey stickOn stickType retries retryOn retryOnUnsafe'),
      ...names('checkPath checkHost checkExpect checkPort checkTimeoutMs checkFall checkRise'),
      ...names('checkIntervalMs checkFastMs checkDownMs door holdMs slowStartMs serverOptions'),
      ...names('timeoutConnectMs timeoutServerMs timeoutQueueMs maxconn maxqueue'),
      servers: { [elementKey()]: SERVER },
      slots: { [elementKey()]: SERVER },
    },
  },
  members: { [elementKey()]: names('name host ip') },
  addresses: { [elementKey()]: ADDRESS },
  settings: names('adminSocket masterSocket maxconn statsBind oldWorkerMs peersSocket tcp'),
}

/**
 * Compiles a Handlebars template; Handlebars itself is loaded here, so that an agent without a balancer never has it.
 * @param source a byte order mark, which some editors put before the text and HAProxy refuses, is taken away
 * @param path for messages
 * @param data the user's own values: what they do not have is an error as well
 * @throws TemplateError with file and line: it does not parse, or names what the data does not have
 */
export async function compileTemplate(
  source: string,
  path: string,
  data: Readonly<Record<string, unknown>> = {},
): Promise<Render> {
  const { default: Handlebars } = await import('handlebars')
  const own = Handlebars.create()
  const text = source.replace(/^\uFEFF/, '')
  let usesSlots = false
  try {
    const tree = own.parse(text) as unknown as Node
    walkBlock(tree, [{ ...DATA, data: namesOf(data) }], path)
    usesSlots = goesThrough(tree, ['slots']) && !goesThrough(tree, ['servers', 'addresses'])
  } catch (thrown) {
    if (thrown instanceof TemplateError) throw thrown
    throw new TemplateError(`${path}: ${messageOf(thrown)}`, { cause: thrown })
  }
  const template = own.compile<TemplateData>(text, { noEscape: true, knownHelpersOnly: true })
  const render = (values: TemplateData) => {
    try {
      return withNewline(template(values))
    } catch (thrown) {
      throw new TemplateError(`${path}: ${messageOf(thrown)}`, { cause: thrown })
    }
  }
  return Object.assign(render, { usesSlots })
}

/** Whether a block in it goes through one of these lists. */
function goesThrough(node: Node | undefined, lists: readonly string[]): boolean {
  if (node === undefined) return false
  const list = [...(node.params ?? []), ...(node.path === undefined ? [] : [node.path])].map(
    one => one.parts?.at(-1) ?? '',
  )
  if (node.type === 'BlockStatement' && list.some(name => lists.includes(name))) return true
  const inner = [...(node.body ?? []), node.program, node.inverse]
  return inner.some(one => goesThrough(one, lists))
}

/**
 * A file that nobody can reach is no configuration: HAProxy takes one without a frontend, and closes every site with it.
 * @returns the same, which throws a TemplateError instead of rendering such a file
 */
export function assertListening(render: Render, path: string): Render {
  const checked = (data: TemplateData) => {
    const text = render(data)
    const structure = parseStructure(text)
    const found = listens(structure)
    if (found === 'always') return text
    throw new TemplateError(
      `${path}: ${DEAF[structure.length === 0 ? 'empty' : found]}, so that no client could come in`,
    )
  }
  return Object.assign(checked, { usesSlots: render.usesSlots === true })
}

const DEAF = {
  empty: 'it renders nothing',
  never: 'no frontend that it renders has a bind line',
  perhaps:
    'every bind line that it renders stands under a condition (.if) that may be false and has no .else with another',
} as const

/** HAProxy refuses a file whose last line does not end (`Missing LF on last line`). */
function withNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`
}

/** What of Handlebars' syntax tree is looked at. */
interface Node {
  readonly type: string
  readonly loc?: { readonly start: { readonly line: number } }
  readonly body?: readonly Node[]
  readonly path?: Node
  readonly params?: readonly Node[]
  readonly hash?: { readonly pairs: readonly { readonly value: Node }[] }
  readonly program?: Node
  readonly inverse?: Node
  readonly blockParams?: readonly string[]
  readonly data?: boolean
  readonly depth?: number
  readonly parts?: readonly string[]
  readonly original?: string
}

const BLOCKS = new Set(['each', 'if', 'unless', 'with'])

/** @param scopes innermost last; a scope of undefined is a plain value, which has no names */
function walkBlock(block: Node | undefined, scopes: readonly Names[], path: string): void {
  for (const node of block?.body ?? []) walkStatement(node, scopes, path)
}

function walkStatement(node: Node, scopes: readonly Names[], path: string): void {
  if (node.type === 'ContentStatement' || node.type === 'CommentStatement') return
  if (node.type === 'MustacheStatement') return walkMustache(node, scopes, path)
  if (node.type !== 'BlockStatement') throw complaint(node, path, 'partials and decorators are not available')
  const helper = node.path?.original ?? ''
  const [param] = node.params ?? []
  if (!BLOCKS.has(helper)) {
    if (param !== undefined || node.path === undefined) throw complaint(node, path, `no helper ${helper}`)
    return walkInner(node, resolve(node.path, scopes, path), scopes, path)
  }
  if (param === undefined || node.params?.length !== 1) throw complaint(node, path, `#${helper} takes one name`)
  const shape = resolve(param, scopes, path)
  if (helper === 'each' || helper === 'with') walkInner(node, shape, scopes, path)
  else {
    walkBlock(node.program, scopes, path)
    walkBlock(node.inverse, scopes, path)
  }
}

function walkInner(node: Node, shape: Names, scopes: readonly Names[], path: string): void {
  if ((node.program?.blockParams ?? []).length > 0)
    throw complaint(node, path, 'block parameters (as |…|) are not available')
  const inner = node.path?.original === 'each' || isList(shape) ? elementOf(shape) : shape
  walkBlock(node.program, [...scopes, inner], path)
  walkBlock(node.inverse, scopes, path)
}

function walkMustache(node: Node, scopes: readonly Names[], path: string): void {
  if ((node.params?.length ?? 0) > 0 || (node.hash?.pairs.length ?? 0) > 0)
    throw complaint(node, path, `no helper ${node.path?.original ?? ''}`)
  if (node.path !== undefined) resolve(node.path, scopes, path)
}

function resolve(node: Node, scopes: readonly Names[], path: string): Names {
  if (node.type !== 'PathExpression') return 'value'
  const parts = [...(node.parts ?? [])]
  let shape = scopes[scopes.length - 1 - (node.depth ?? 0)]
  if (node.data === true) {
    const special = parts.shift() ?? ''
    if (special !== 'root') return LOOP_NAMES.has(special) ? 'value' : unknown(node, path)
    shape = scopes[0]
  }
  for (const part of parts) {
    if (shape === 'any') return shape
    if (shape === undefined || shape === 'value' || !Object.hasOwn(shape, part)) return unknown(node, path, shape)
    shape = shape[part]
  }
  return shape ?? unknown(node, path)
}

const LOOP_NAMES = new Set(['index', 'key', 'first', 'last'])

function unknown(node: Node, path: string, shape?: Names): never {
  const known =
    shape === undefined || typeof shape === 'string' ? [] : Object.keys(shape).filter(name => name !== elementKey())
  const hint = known.length > 0 ? `; there is ${known.join(', ')}` : ''
  throw complaint(node, path, `the data has no ${node.original ?? 'such name'} here${hint}`)
}

function complaint(node: Node, path: string, sentence: string): TemplateError {
  return new TemplateError(`${path}:${node.loc?.start.line ?? 0}: ${sentence}`)
}

function names(text: string): Shape {
  return Object.fromEntries(text.split(' ').map(name => [name, 'value' as const]))
}

/** Key of a shape for the items of a list; no template can spell it. */
function elementKey(): string {
  return '[]'
}

/** Names in the user's own values; the items of a list count as one, with the names of all. */
function shapeOf(value: unknown): Names {
  if (typeof value !== 'object' || value === null) return 'value'
  if (Array.isArray(value)) return { [elementKey()]: merged(value.map(shapeOf)) }
  return namesOf(value)
}

function namesOf(values: object): Shape {
  return Object.fromEntries(Object.entries(values).map(([key, inner]) => [key, shapeOf(inner)]))
}

function merged(shapes: readonly Names[]): Names {
  if (shapes.length === 0 || shapes.includes('any')) return 'any'
  const maps = shapes.filter(shape => shape !== 'value')
  return maps.length === 0 ? 'value' : Object.assign({}, ...maps)
}

function isList(shape: Names): shape is Shape {
  return typeof shape === 'object' && Object.hasOwn(shape, elementKey())
}

/** What `#each` goes through: the items of a list, the values of a map. */
function elementOf(shape: Names): Names {
  if (typeof shape === 'string') return shape
  return isList(shape) ? (shape[elementKey()] ?? 'value') : merged(Object.values(shape))
}
