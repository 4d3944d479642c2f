// `stockd-orders schema`: the JSON schema of events, for whoever reads them from the broker or from stock:events.

import { EVENT_SCHEMA } from '../../orders/event-schema.ts'
import type { OrdersTool } from './orders-tool.ts'

export function addSchema(tool: OrdersTool): void {
  tool
    .named('schema', 'prints the JSON schema of events')
    .option('--json', 'for programs, as of every subcommand; it is JSON in any case')
    .action(() => tool.console({}).line(JSON.stringify(EVENT_SCHEMA, null, 2)))
}
