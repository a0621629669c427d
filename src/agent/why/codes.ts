/** What verdicts are known by: scripts compare them, so they stay. In the order of docs/why.md, which says what to do about each. */
export const CODES = [
  // all is well, or as wished
  ...(['serving', 'well', 'pool-well', 'running', 'announced', 'no-pool', 'balancer', 'restarted'] as const),
  ...(['below-minimum', 'drift', 'drained', 'drain-held-back', 'stopping', 'leaving', 'left', 'rolled-back'] as const),
  // the process
  ...(['quarantined', 'crashed', 'crash-loop', 'not-ready', 'wrong-port', 'frozen', 'stop-waits', 'stopped'] as const),
  // its member, and its tags
  ...(['failed', 'failed-served', 'silent', 'partition', 'mass-disappearance', 'flapping'] as const),
  ...(['name-clash', 'key-mismatch', 'refused', 'address-taken', 'unclaimed', 'unknown-pool'] as const),
  ...(['withdrawn', 'no-balancer', 'alone', 'gone'] as const),
  // checks and traffic
  ...(['check-status', 'refused-connection', 'timeout', 'unreachable', 'check-tls', 'check-answer'] as const),
  ...(['check-socket', 'entering', 'recovering', 'weight-zero', 'slow', 'errors', 'guard', 'not-placed'] as const),
  ...(['changed-by-hand'] as const),
  // the balancer
  ...(['haproxy-down', 'template', 'config-refused', 'config-invalid', 'disk', 'journal'] as const),
  ...(['balancer-problem', 'pool-empty', 'pool-below-minimum', 'pool-degraded', 'warning', 'failed-members'] as const),
] as const

export type Code = (typeof CODES)[number]
