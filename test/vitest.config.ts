// Two projects: `unit` is pure and runs in parallel; `integration` starts processes and runs one file at a time, after it.
//
//   npx vitest run --config test/vitest.config.ts --project unit

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))

export default defineConfig({
  root,
  test: {
    reporters: ['default', fileURLToPath(new URL('support/totals.ts', import.meta.url))],
    // A test process that is a process: children die with it, and process.exit, signals and memory are its own.
    pool: 'forks',
    setupFiles: [fileURLToPath(new URL('support/after-file.ts', import.meta.url))],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/tidy.test.ts', 'test/unit/**/*.test.ts', 'test/scenario/**/*.test.ts', 'test/support/**/*.test.ts'],
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{compat,contract,e2e,fuzz,sim}/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
