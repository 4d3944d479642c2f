// The commands of a node, as the rules of users name them: `get`, `config|get`, `@read`.

import type { CommandSpec } from '../../engine/command.ts'
import { CATEGORIES } from './categories.ts'

export interface Entry {
  readonly spec: CommandSpec
  /** Lower case, a subcommand with its container: `config|get`. */
  readonly name: string
  readonly isSubcommand: boolean
  readonly subcommands: readonly Entry[]
}

export class Catalog {
  /** Containers before their subcommands. */
  readonly entries: readonly Entry[]
  readonly #byName: ReadonlyMap<string, Entry>
  readonly #names: ReadonlyMap<CommandSpec, string>
  readonly #byCategory: ReadonlyMap<string, readonly Entry[]>

  constructor(specs: readonly CommandSpec[]) {
    this.entries = specs.flatMap((spec) => {
      const name = spec.name.toLowerCase()
      const subcommands = (spec.subcommands ?? []).map((one): Entry => {
        return { spec: one, name: `${name}|${one.name.toLowerCase()}`, isSubcommand: true, subcommands: [] }
      })
      return [{ spec, name, isSubcommand: false, subcommands }, ...subcommands]
    })
    this.#byName = new Map(this.entries.map((entry) => [entry.name, entry]))
    this.#names = new Map(this.entries.map((entry) => [entry.spec, entry.name]))
    this.#byCategory = new Map(
      CATEGORIES.map((category) => [category, this.entries.filter((entry) => entry.spec.categories.includes(category))]),
    )
  }

  /** By its full name, in any case. */
  find(name: string): Entry | null {
    return this.#byName.get(name.toLowerCase()) ?? null
  }

  /** The commands of a category, in any case; null: there is no such category. */
  ofCategory(category: string): readonly Entry[] | null {
    return this.#byCategory.get(category.toLowerCase()) ?? null
  }

  nameOf(spec: CommandSpec): string {
    return this.#names.get(spec) ?? spec.name.toLowerCase()
  }
}
