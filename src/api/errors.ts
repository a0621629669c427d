import { MusterError } from '../base/index.ts'

/** Nobody answers on the agent's socket. Nothing was changed. */
export class AgentUnreachableError extends MusterError {
  readonly code = 'AGENT_UNREACHABLE'
  constructor(socketPath: string, options: { cause: unknown }) {
    super(
      `no agent answers on ${socketPath}; if it runs with another socket, name it with -socket or MUSTER_API_SOCKET; to start one: muster up`,
      options,
    )
  }
}

/** The agent answered, with an error of its own; its sentence is the message. */
export class ApiAnswerError extends MusterError {
  readonly code = 'API_ANSWER'
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The TCP address cannot be had. Nothing is left listening. */
export class ApiListenError extends MusterError {
  readonly code = 'API_LISTEN'
}

/** Another agent listens on the socket. It goes on undisturbed; this one has not started. */
export class SocketTakenError extends MusterError {
  readonly code = 'API_SOCKET_TAKEN'
  constructor(where: string, options?: { cause: unknown }) {
    super(
      `another agent listens on ${where} and goes on; to run two on one machine give this one its own -run-dir and -state-dir, ` +
        'and where MUSTER_API_SOCKET, -socket or api.socket names the socket, another one there',
      options,
    )
  }
}

/** A guard refused what was asked; nothing was changed. The sentence says which guard, and how to go on all the same. */
export class RefusedError extends MusterError {
  readonly code = 'API_REFUSED'
}

/** What was asked about does not exist, or nobody who knows it answers; nothing was changed. */
export class NotThereError extends MusterError {
  readonly code = 'API_NOT_THERE'
}
