import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    isolate: false,
    pool: 'forks',
    maxWorkers: 2,
    maxConcurrency: 8, // rings that mostly wait for their members' clocks
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
