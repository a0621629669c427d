import { type Address, formatAddress, MusterError, messageOf } from '../../base/index.ts'

/** Nobody answers at the agent's RPC address. Nothing was asked of it. */
export class RpcUnreachableError extends MusterError {
  readonly code = 'RPC_UNREACHABLE'

  constructor(address: Address, options: { cause: unknown }) {
    super(
      `No agent answers on ${formatAddress(address)} (${messageOf(options.cause)}); is it running, and is this its RPC address?`,
      options,
    )
  }
}

/** The agent wants another key, or any. The connection is of no use. */
export class RpcAuthError extends MusterError {
  readonly code = 'RPC_AUTH'
}

/** The agent performed the request and it failed; the message is the agent's own, word for word. */
export class RpcRefusedError extends MusterError {
  readonly code = 'RPC_REFUSED'
}

/** The connection ended before the answer. Whether the request was performed is unknown. */
export class RpcClosedError extends MusterError {
  readonly code = 'RPC_CLOSED'

  constructor(options?: { cause?: unknown }) {
    super('client closed', options)
  }
}

/** No answer within the time allowed. Whether the request was performed is unknown. */
export class RpcTimedOutError extends MusterError {
  readonly code = 'RPC_TIMED_OUT'

  constructor(command: string, timeoutMs: number) {
    super(`no answer to ${command} within ${timeoutMs} ms; it may still happen`)
  }
}

/** What answers is not Serf's RPC. The connection has been closed. */
export class RpcProtocolError extends MusterError {
  readonly code = 'RPC_PROTOCOL'
}
