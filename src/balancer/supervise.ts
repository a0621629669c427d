/** How HAProxy is to be run. Its fields are those of a supervisor's service. */
export interface HaproxySpec {
  readonly name: 'haproxy'
  readonly command: readonly string[]
  /** SIGTERM ends HAProxy's master and workers at once, SIGUSR1 after the last connection. */
  readonly stopSignal: 'SIGTERM' | 'SIGUSR1'
  readonly stopTimeoutMs: number
}

export interface HaproxyProcessStatus {
  readonly state: 'starting' | 'ready' | 'stopping' | 'stopped' | 'backoff' | 'quarantined'
  readonly pid?: number
  readonly reason?: string
}

/**
 * What the balancer needs of a supervisor, handed in because the two rooms do not know one another. The supervisor starts
 * HAProxy again when it dies, guards against a second one by a lock, and adopts the one of a former agent.
 */
export interface Supervise {
  /**
   * Starts it, or does nothing if it runs already (adopted, say). Resolves when it has been started, not when it is ready.
   * @param runningPid the master that answers on the socket: it is adopted, also when no record tells of it
   */
  start(spec: HaproxySpec, runningPid?: number): Promise<void>
  status(): HaproxyProcessStatus
  /** To the master process. */
  signal(signal: 'SIGUSR2' | 'SIGUSR1' | 'SIGTERM'): void
  /** Ends it, gracefully by the spec's own signal; resolves when it is gone. */
  stop(): Promise<void>
  /** Called whenever `status()` has changed; returns the way to stop listening. */
  onChange?(listener: () => void): () => void
}
