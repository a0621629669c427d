/** The four kinds of clients; each has its own rate and its own books. */
export const KINDS = ['close', 'keep-alive', 'post', 'websocket'] as const

/**
 * `close`: a GET over a connection of its own. `keep-alive`: a GET over a kept one. `post`: a POST with an id, every other one
 * over a kept connection. `websocket`: a message whose echo has to come back, once and in order.
 */
export type Kind = (typeof KINDS)[number]

/** Requests per second, by kind; a kind that is missing is not sent. */
export type Rates = Readonly<Partial<Record<Kind, number>>>

/** The usual mix without WebSockets: two fifths new connections, two fifths kept ones, one fifth POSTs. */
export function mixedRates(ratePerSecond: number): Rates {
  return { close: ratePerSecond * 0.4, 'keep-alive': ratePerSecond * 0.4, post: ratePerSecond * 0.2 }
}
