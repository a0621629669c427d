const LABEL_BYTES_MAX = 63
const NAME_BYTES_MAX = 120

/** Where the agents of a cluster are found in DNS. */
export function serviceOf(cluster: string): string {
  return `_serf_${cluster}._tcp.local`
}

/** Whether a text can name a cluster: what DNS can carry. */
export function isClusterName(text: string): boolean {
  const isShort = text !== '' && Buffer.byteLength(text) <= NAME_BYTES_MAX
  return isShort && !/\p{Cc}/u.test(text) && `_serf_${text}`.split('.').every(isLabel)
}

/** What stands between two dots. */
export function isLabel(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= LABEL_BYTES_MAX
}
