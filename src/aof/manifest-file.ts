// The manifest of a running log: one change after another, each durable before the next begins.
//
// A change that fails leaves `current` as it was. What is on disk is then the old one or the new one, and both are valid: the files that
// either names are deleted only after a later change succeeded.

import { replaceFile, replaceFileNow } from './atomic-file.ts'
import type { Disk, Done } from './disk.ts'
import { LOG_DIRECTORY, MANIFEST_FILE } from './format/file-names.ts'
import { encodeManifest, type Manifest } from './format/manifest.ts'

interface Change {
  readonly make: (manifest: Manifest) => Manifest | null
  readonly done: Done
}

export class ManifestFile {
  current: Manifest
  readonly #disk: Disk
  readonly #directory: string
  readonly #waiting: Change[] = []
  readonly #onIdle: () => void
  #busy = false
  /** Names that no durable manifest has any more, or that one may have by accident. */
  #doomed: string[] = []

  constructor(disk: Disk, directory: string, current: Manifest, onIdle: () => void) {
    this.#onIdle = onIdle
    this.#disk = disk
    this.#directory = `${directory}/${LOG_DIRECTORY}`
    this.current = current
  }

  /** Writes what `make` makes of the current manifest, when its turn comes; null: no change after all. */
  change(make: Change['make'], done: Done): void {
    this.#waiting.push({ make, done })
    if (!this.#busy) this.#next()
  }

  get isBusy(): boolean {
    return this.#busy
  }

  /** The file is to be deleted, once a manifest without it is durable. */
  doom(name: string): void {
    this.#doomed.push(name)
  }

  #next(): void {
    const change = this.#waiting.shift()
    if (change === undefined) return
    const next = change.make(this.current)
    if (next === null) {
      change.done(null)
      this.#next()
      return
    }
    this.#busy = true
    replaceFile(this.#disk, this.#directory, MANIFEST_FILE, encodeManifest(next), (error) => {
      this.#busy = false
      if (error === null) {
        this.current = next
        this.#deleteDoomed()
      }
      change.done(error)
      if (!this.#busy) this.#next()
      if (!this.#busy) this.#onIdle()
    })
  }

  #deleteDoomed(): void {
    const listed = new Set(this.current.entries.map((e) => e.name))
    const names = this.#doomed
    this.#doomed = []
    for (const name of names) {
      if (listed.has(name)) {
        this.#doomed.push(name)
        continue
      }
      // Not there, or not now: the next start deletes what the manifest does not name.
      this.#disk.remove(`${this.#directory}/${name}`, () => {})
    }
  }
}

export function writeManifestNow(disk: Disk, directory: string, manifest: Manifest): void {
  replaceFileNow(disk, `${directory}/${LOG_DIRECTORY}`, MANIFEST_FILE, encodeManifest(manifest))
}
