// What the subcommands of stockd-orders share: the options about the store, what they say, and the exit code.

import { StockdError } from '../../base/error.ts'
import { DEFAULT_TOPOLOGY } from '../../orders/broker/topology.ts'
import type { Store } from '../../orders/store/store.ts'
import { badArgument, subcommand, type CommandLine } from '../command-line.ts'
import { Console } from '../console.ts'
import { AMQP_VARIABLE } from './broker-options.ts'
import { collectNodes, NODE_VARIABLE } from './node-options.ts'
import { openStore, type StoreOptions, type StoreUse } from './store-options.ts'

export const TOOL = 'stockd-orders'

const MIB = 2 ** 20
const NODE_ABOUT = `a node; may be given again (else ${NODE_VARIABLE}, else the one that runs here)`
const USER_ABOUT = `who asks it; the password is in ${NODE_VARIABLE}_PASSWORD, or in the file of ${NODE_VARIABLE}_PASSWORD_FILE`

export interface CommonOptions extends StoreOptions {
  readonly json?: true | undefined
}

/** Adds one subcommand. */
export type AddCommand = (tool: OrdersTool) => void

export class OrdersTool {
  exitCode = 0
  /** Known as soon as the flags are read. */
  isJson = false
  readonly #root: CommandLine

  constructor(root: CommandLine) {
    this.#root = root
  }

  /** A subcommand that has subcommands of its own. */
  group(name: string, about: string): CommandLine {
    const group: CommandLine = subcommand(this.#root, name, about)
    group
      .usage('<command>')
      .argument('[command]')
      .action((given) => {
        const names = group.commands.map((command) => command.name()).join(', ')
        throw new StockdError(
          'BAD_OPTION',
          `${name} ${given === undefined ? 'what' : `cannot ${JSON.stringify(given)}`}: ${names}? (--help tells more)`,
        )
      })
    return group
  }

  /** A subcommand that works on a store. */
  onStore(name: string, about: string, group: CommandLine = this.#root) {
    return subcommand(group, name, about)
      .option('--store <url>', 'sqlite:<path>, or mysql://user:password@host:port/name (better in STOCKD_ORDERS_STORE)')
      .option('--databases <n>', 'mysql: how many databases the orders are spread over (1 to 16)', wholeNumber(1, 16))
      .option('--tables <n>', 'mysql: how many tables each database has (1 to 64)', wholeNumber(1, 64))
      .option('--json', 'for programs')
  }

  /** ... and with a broker. */
  onStoreAndBroker(name: string, about: string) {
    return this.onStore(name, about)
      .option('--amqp <urls>', `amqp://user:password@host:port/vhost, or several with commas (better in ${AMQP_VARIABLE})`)
      .option('--amqp-prefix <name>', 'what the names of queues and exchanges begin with', DEFAULT_TOPOLOGY.prefix)
      .option('--amqp-exchange <name>', 'topic exchange of the node, if not <amqp-prefix>.events')
      .option('--amqp-queue-bytes <n>', 'bytes that the queue of a part takes', wholeNumber(MIB, 2 ** 50), DEFAULT_TOPOLOGY.queueBytesMax)
      .option('--amqp-ca <file>', 'certificates that the broker may have signed its own with')
      .option('--amqp-cert <file>', 'certificate that is shown to the broker')
      .option('--amqp-key <file>', 'key of --amqp-cert')
  }

  /** ... and with nodes. */
  onStoreBrokerAndNodes(name: string, about: string) {
    return this.onStoreAndBroker(name, about)
      .option('--node <host:port>', NODE_ABOUT, collectNodes)
      .option('--node-user <name>', USER_ABOUT)
  }

  /** A subcommand that works on a store and nodes. */
  onStoreAndNodes(name: string, about: string, group: CommandLine) {
    return this.onStore(name, about, group).option('--node <host:port>', NODE_ABOUT, collectNodes).option('--node-user <name>', USER_ABOUT)
  }

  /** A subcommand that works on none. */
  named(name: string, about: string) {
    return subcommand(this.#root, name, about)
  }

  console(options: { readonly json?: true | undefined }): Console {
    this.isJson = options.json === true
    return new Console(TOOL, this.isJson)
  }

  /** Opens the store, and closes it whatever happens. @param work tells the exit code */
  async withStore(options: CommonOptions, use: StoreUse, work: (store: Store, out: Console) => Promise<number>): Promise<void> {
    const out = this.console(options)
    const store = await openStore(options, use, process.env)
    try {
      this.exitCode = await work(store, out)
    } finally {
      await store.close()
    }
  }
}

/** Reads a flag's value. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = /^\d{1,15}$/.test(text) ? Number(text) : NaN
    if (!(n >= least && n <= most)) throw badArgument(`expected a whole number from ${least} to ${most}.`)
    return n
  }
}
