/** The first argument of `muster sim` in a process of the pool. */
export const WORKER_FLAG = '--worker'
