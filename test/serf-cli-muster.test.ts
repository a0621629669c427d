import { describe } from 'vitest'
import { replayRuns } from './replayed-runs.ts'

describe('muster serf asking Muster agents', () => replayRuns('muster', '127.0.71.2'))
