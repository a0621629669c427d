/**
 * ledger: the application's end of `muster prove`. A server writes down the id of each unsafe request that it executes, before
 * it answers, so that the prover can hold both ends against each other: what ran twice, what was answered but never ran. No
 * dependencies; for Express, Connect, or `node:http` alone.
 */
export { type ExecutedLedger, LEDGER_PATH, type LedgerOptions, openLedger } from './drivers/executed-ledger.ts'
