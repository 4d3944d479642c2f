import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Progress } from '../../../src/cli/progress.ts'

function rig(options: { isTerminal: boolean; isSilent?: boolean }): { progress: Progress; written: string[]; clock: { now: number } } {
  const written: string[] = []
  const clock = { now: 0 }
  const progress = new Progress({
    ...{ isTerminal: options.isTerminal, isSilent: options.isSilent ?? false },
    write: (text) => written.push(text),
    monotonic: () => clock.now,
  })
  return { progress, written, clock }
}

describe('progress', () => {
  it('is a bar on a terminal, drawn over itself, and gone before anything else is said', () => {
    const { progress, written, clock } = rig({ isTerminal: true })
    for (clock.now = 0; clock.now <= 250; clock.now += 10) progress.show('archiving', clock.now, 1000)
    progress.clear()
    progress.clear()
    expect(written.map((text) => text.slice(0, 4))).toEqual(['\r\u001b[K', '\r\u001b[K', '\r\u001b[K'])
    expect(stripVTControlCharacters(written[1])).toBe('\rarchiving: █████░░░░░░░░░░░░░░░░░░░ 20 % (200 of 1,000)')
    expect(written[2]).toBe('\r\u001b[K')
  })

  it('is a line every five seconds elsewhere', () => {
    const { progress, written, clock } = rig({ isTerminal: false })
    for (clock.now = 0; clock.now <= 12_000; clock.now += 100) progress.show('reading', 2_000_000, clock.now < 6000 ? null : 4_000_000)
    progress.clear()
    expect(written).toEqual(['reading: 2,000,000\n', 'reading: 50 % (2,000,000 of 4,000,000)\n'])
  })

  it('is nothing for programs, and for work that is done at once', () => {
    const silent = rig({ isTerminal: true, isSilent: true })
    silent.clock.now = 99_999
    silent.progress.show('reading', 1, 2)
    const quick = rig({ isTerminal: true })
    quick.progress.show('reading', 1, 2)
    quick.progress.clear()
    expect([...silent.written, ...quick.written]).toEqual([])
  })
})
