// Every script of this folder is played on the real engine and on the model: both must say what the script says.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { EngineStage } from '../model/engine-stage.ts'
import { ModelStage } from '../model/model-stage.ts'
import { type Line, parseScript, play } from './script.ts'

const folder = new URL('.', import.meta.url)
const scripts = (path: string): string[] =>
  readdirSync(new URL(path, folder))
    .filter((name) => name.endsWith('.txt'))
    .map((name) => path + name)

const told = (lines: Line[], which: 'expected' | 'heard'): string => lines.map((line) => `> ${line.command}\n${line[which]}`).join('\n')

/** Fails with the whole story, so that the difference is seen in its place. */
function expectAgreement(lines: Line[]): void {
  const cleaned = lines.map((line) => (line.agrees ? { ...line, heard: line.expected } : line))
  expect(told(cleaned, 'heard')).toBe(told(cleaned, 'expected'))
}

describe.each(scripts('./'))('%s', (name) => {
  const script = parseScript(readFileSync(new URL(name, folder), 'utf8'))

  it('says why it is told', () => expect(script.why).not.toBe(''))
  it('is what the model says', () => expectAgreement(play(script, new ModelStage())))
  it('is what the engine says, restarting from the log', () => expectAgreement(play(script, new EngineStage(), 'log')))
  it('is what the engine says, restarting from a snapshot', () => expectAgreement(play(script, new EngineStage(), 'snapshot')))
})

// What ordinary commands do to stock: the model knows nothing of them.
describe.each(scripts('./keys/'))('%s', (name) => {
  const script = parseScript(readFileSync(new URL(name, folder), 'utf8'))
  it('is what the engine says, restarting from the log', () => expectAgreement(play(script, new EngineStage(), 'log')))
  it('is what the engine says, restarting from a snapshot', () => expectAgreement(play(script, new EngineStage(), 'snapshot')))
})
