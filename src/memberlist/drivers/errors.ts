import { type Address, formatAddress, MusterError } from '../../base/index.ts'

/** Somebody else has the port. Nothing is left open. */
export class AddressInUseError extends MusterError {
  readonly code = 'MEMBERLIST_ADDRESS_IN_USE'
  readonly address: Address

  constructor(address: Address, protocol: 'tcp' | 'udp', options: { cause: unknown }) {
    const where = `${formatAddress(address)} (${protocol})`
    super(`${where} is in use; stop the other agent or choose another address with -bind. To see who: ss -lnp`, options)
    this.address = address
  }
}

/** The listener could not be opened for another reason than its port. Nothing is left open. */
export class ListenError extends MusterError {
  readonly code = 'MEMBERLIST_LISTEN'
}

/** Bound to every address, and none of them is fit to be told to others: say which with `advertise`. */
export class NoAdvertiseAddressError extends MusterError {
  readonly code = 'MEMBERLIST_NO_ADVERTISE_ADDRESS'
}

/** One exchange over a stream failed. Nothing of the peer's answer was taken over. */
export class ExchangeError extends MusterError {
  readonly code = 'MEMBERLIST_EXCHANGE'
}

/** What was to be joined means no address. Nobody was asked. */
export class TargetError extends MusterError {
  readonly code = 'MEMBERLIST_TARGET'
}

/** What was announced holds here, and still spreads; it was only not sent as often as wanted in time. */
export class BroadcastTimeoutError extends MusterError {
  readonly code = 'MEMBERLIST_BROADCAST_TIMEOUT'
}
