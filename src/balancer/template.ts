import type { TemplateData } from './data.ts'
import { messageOf } from '../base/index.ts'
import { TemplateError } from './errors.ts'

/** Text of the file for some data. @throws TemplateError when Handlebars fails while it renders */
export type Render = (data: TemplateData) => string

/** The names that the data has at one place. */
interface Shape {
  readonly [name: string]: Shape | 'value'
}

const SERVER: Shape = names('server id member host ip port address weight disabled draining')
const ADDRESS: Shape = names('host ip port')
const DATA: Shape = {
  node: names('name ip'),
  frontends: { [elementKey()]: { ...names('name bind pool'), binds: { [elementKey()]: 'value' } } },
  pools: {
    [elementKey()]: {
      ...names('name balance checkPath sticky cookieKey timeoutServerMs maxconn'),
      servers: { [elementKey()]: SERVER },
      slots: { [elementKey()]: SERVER },
    },
  },
  members: { [elementKey()]: names('name host ip') },
  addresses: { [elementKey()]: ADDRESS },
  settings: names('adminSocket masterSocket maxconn statsBind'),
}

/**
 * Compiles a Handlebars template; Handlebars itself is loaded here, so that an agent without a balancer never has it.
 * @param path for messages
 * @throws TemplateError with file and line: it does not parse, or names what the data does not have
 */
export async function compileTemplate(source: string, path: string): Promise<Render> {
  const { default: Handlebars } = await import('handlebars')
  const own = Handlebars.create()
  try {
    walkBlock(own.parse(source) as unknown as Node, [DATA], path)
  } catch (thrown) {
    if (thrown instanceof TemplateError) throw thrown
    throw new TemplateError(`${path}: ${messageOf(thrown)}`, { cause: thrown })
  }
  const template = own.compile<TemplateData>(source, { noEscape: true, knownHelpersOnly: true })
  return data => {
    try {
      return withNewline(template(data))
    } catch (thrown) {
      throw new TemplateError(`${path}: ${messageOf(thrown)}`, { cause: thrown })
    }
  }
}

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
function walkBlock(block: Node | undefined, scopes: readonly (Shape | 'value')[], path: string): void {
  for (const node of block?.body ?? []) walkStatement(node, scopes, path)
}

function walkStatement(node: Node, scopes: readonly (Shape | 'value')[], path: string): void {
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

function walkInner(node: Node, shape: Shape | 'value', scopes: readonly (Shape | 'value')[], path: string): void {
  if ((node.program?.blockParams ?? []).length > 0)
    throw complaint(node, path, 'block parameters (as |…|) are not available')
  const inner = shape !== 'value' && Object.hasOwn(shape, elementKey()) ? (shape[elementKey()] as Shape) : shape
  walkBlock(node.program, [...scopes, inner], path)
  walkBlock(node.inverse, scopes, path)
}

function walkMustache(node: Node, scopes: readonly (Shape | 'value')[], path: string): void {
  if ((node.params?.length ?? 0) > 0 || (node.hash?.pairs.length ?? 0) > 0)
    throw complaint(node, path, `no helper ${node.path?.original ?? ''}`)
  if (node.path !== undefined) resolve(node.path, scopes, path)
}

function resolve(node: Node, scopes: readonly (Shape | 'value')[], path: string): Shape | 'value' {
  if (node.type !== 'PathExpression') return 'value'
  const parts = [...(node.parts ?? [])]
  let shape = scopes[scopes.length - 1 - (node.depth ?? 0)]
  if (node.data === true) {
    const special = parts.shift() ?? ''
    if (special !== 'root') return LOOP_NAMES.has(special) ? 'value' : unknown(node, path)
    shape = scopes[0]
  }
  for (const part of parts) {
    if (shape === undefined || shape === 'value' || !Object.hasOwn(shape, part)) return unknown(node, path, shape)
    shape = shape[part]
  }
  return shape ?? unknown(node, path)
}

const LOOP_NAMES = new Set(['index', 'key', 'first', 'last'])

function unknown(node: Node, path: string, shape?: Shape | 'value'): never {
  const known = shape === undefined || shape === 'value' ? [] : Object.keys(shape).filter(name => name !== elementKey())
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
