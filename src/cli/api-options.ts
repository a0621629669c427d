/** Of commands that ask a running agent over its HTTP API. */
export interface ApiOptions {
  readonly socket?: string
  readonly output?: string
}

/** Flag, else MUSTER_API_SOCKET, else the default run directory's. */
export function socketOf(options: ApiOptions): string {
  return options.socket ?? (process.env['MUSTER_API_SOCKET'] || '/run/muster/agent.sock')
}
