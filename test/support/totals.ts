// A vitest reporter that ends the run with one plain line, `N passed, N failed`, for scripts and CI to read.
//
// A file that could not be loaded and an error outside of any test count as failed: the line never looks better than the run.

import type { Reporter, SerializedError, TestModule } from 'vitest/node'

export default class Totals implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    let passed = 0
    let failed = errors.length
    let skipped = 0
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        else if (state === 'failed') failedHere++
        else skipped++
      }
      if (failedHere === 0 && !module.ok()) failedHere = 1
      failed += failedHere
    }
    if (skipped > 0) process.stdout.write(`${skipped} skipped or never run: see above\n`)
    process.stdout.write(`${passed} passed, ${failed} failed\n`)
  }
}
