// The published JSON schema of events (draft 2020-12): the contract with whoever reads them from the broker or from stock:events. It says
// what event-body.ts checks, for programs that are not ours; sums and encodings, which a schema cannot say, are in the descriptions.

import { EVENT_SCHEMA_VERSION, EVENT_TYPES } from '../engine/events/event.ts'

const integer = (minimum: number, maximum = Number.MAX_SAFE_INTEGER): object => ({ type: 'integer', minimum, maximum })
const name = { type: 'string', minLength: 1 }
const nameOrNull = { type: ['string', 'null'], minLength: 1 }
const change = (...keys: string[]): object => ({
  type: 'object',
  properties: Object.fromEntries(keys.map((key) => [key, { $ref: '#/$defs/delta' }])),
})
const is = (type: string): object => ({ properties: { type: { const: type } } })
const isOneOf = (...types: string[]): object => ({ properties: { type: { enum: types } } })
const hasAlso = (...keys: string[]): object => ({ required: keys })

export const EVENT_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: `urn:stockd:event:${EVENT_SCHEMA_VERSION}`,
  title: 'stockd event',
  description:
    'One accepted change. Within (stream, part) the events are numbered 1, 2, 3 ... by pseq, which the message carries. Apply an event of an order ' +
    'if its version is greater than the one you have. Ignore fields that you do not know; another meaning has another `schema`.',
  type: 'object',
  required: [
    'schema',
    'id',
    'type',
    'time',
    'order',
    'buyer',
    'shard',
    'version',
    'state',
    'deadline',
    'ref',
    'reason',
    'late',
    'items',
    'stock',
  ],
  properties: {
    schema: { const: EVENT_SCHEMA_VERSION },
    id: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,120}$', description: 'Stream and LSN. The 16 events of one audit mark share it.' },
    type: { enum: EVENT_TYPES },
    time: { ...integer(0), description: 'Unix ms: when it happened; of an expiry, the deadline.' },
    encoding: {
      const: 'latin1',
      description:
        'Present if a name is not UTF-8: then each character of every name (order, buyer, sku, seller, ref, ids) stands for one byte.',
    },
    order: { ...nameOrNull, description: "The order's id, 1 to 128 bytes." },
    buyer: { ...nameOrNull, description: 'The bytes between the first { and the next } of the id; null if there are none.' },
    shard: { ...integer(0, 1023), description: 'CRC-32 of buyer, order (without buyer) or SKU, & 1023. part = shard >> 6.' },
    version: { ...integer(0), description: 'Counts the changes of the order; of stock.*, those of the SKU; of audit.mark 0.' },
    state: { enum: ['RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED', null], description: 'The order after the event.' },
    deadline: { ...integer(0), description: 'Unix ms; 0 of an order that never was on hold.' },
    ref: {
      ...nameOrNull,
      description:
        "The order's REF after the event. Of order.payment_orphaned: the payment that achieved nothing, which is not the order's.",
    },
    reason: { type: ['string', 'null'], pattern: '^[a-z_]{1,32}$' },
    late: { type: 'boolean', description: 'True of an order.confirmed by CONFIRM ... LATE.' },
    items: { type: 'array', maxItems: 100, items: { $ref: '#/$defs/item' } },
    stock: { type: 'array', items: { $ref: '#/$defs/balance' }, description: 'Balances as of the event. A SKU that was dropped has none.' },
    mark: { ...integer(1), description: 'audit.mark: its number. `stock` has the SKUs that changed since the one before.' },
    operation: { ...nameOrNull, description: 'order.released, order.returned: the ID that was given.' },
    terms: { $ref: '#/$defs/terms' },
    adjustment: {
      type: 'object',
      required: ['id', 'asked', 'applied'],
      properties: { id: name, asked: { $ref: '#/$defs/delta' }, applied: { $ref: '#/$defs/delta' } },
      description: 'stock.adjusted: less is applied than was asked if it was clamped.',
    },
    sellable: integer(0),
  },
  allOf: [
    {
      if: { properties: { type: { pattern: '^order[.]' } } },
      then: { properties: { order: name, version: integer(1), state: { type: 'string' } } },
      else: {
        properties: {
          order: { type: 'null' },
          buyer: { type: 'null' },
          state: { type: 'null' },
          deadline: { const: 0 },
          late: { const: false },
          items: { maxItems: 0 },
        },
      },
    },
    {
      if: { properties: { type: { pattern: '^stock[.]' } } },
      then: { properties: { stock: { minItems: 1, maxItems: 1, items: hasAlso('change') }, version: integer(1) } },
    },
    { if: isOneOf('stock.created', 'stock.altered'), then: hasAlso('terms') },
    { if: is('stock.adjusted'), then: hasAlso('adjustment') },
    { if: isOneOf('stock.soldout', 'stock.available'), then: hasAlso('sellable') },
    { if: is('audit.mark'), then: hasAlso('mark') },
    { if: isOneOf('order.released', 'order.returned'), then: hasAlso('operation') },
  ],
  $defs: {
    delta: { ...integer(-Number.MAX_SAFE_INTEGER), description: '0 if it is left out.' },
    money: {
      anyOf: [integer(0), { type: 'string', pattern: '^(0|[1-9][0-9]{0,30})$' }, { type: 'null' }],
      description: 'Minor units; a decimal string above 2^53 - 1; null: no price.',
    },
    item: {
      type: 'object',
      required: ['sku', 'qty', 'price', 'seller', 'generation', 'change'],
      properties: {
        sku: name,
        qty: { ...integer(0, 1_000_000_000), description: 'Units that the event is about; of a sale in part those sold.' },
        price: { $ref: '#/$defs/money', description: "The SKU's when the order was made." },
        seller: nameOrNull,
        generation: { ...integer(1), description: 'Tells a SKU from an earlier one of the same name.' },
        change: {
          ...change('reserved', 'sold', 'released', 'returned'),
          description: "What the event did to the order's item. All changes of an item add up to where its units are.",
        },
      },
    },
    balance: {
      type: 'object',
      required: ['sku', 'total', 'available', 'reserved', 'sold', 'generation'],
      properties: {
        sku: name,
        total: integer(0),
        available: integer(0),
        reserved: integer(0),
        sold: integer(0),
        generation: integer(1),
        change: {
          ...change('total', 'available', 'reserved', 'sold'),
          description: 'What the event did to the SKU. All changes of a generation add up to its balances.',
        },
      },
      description: 'total = available + reserved + sold',
    },
    terms: {
      type: 'object',
      required: ['hold', 'maxhold', 'limit', 'maxqty', 'safety', 'start', 'end', 'price', 'seller', 'paused'],
      properties: {
        hold: { ...integer(1), description: 'Seconds.' },
        maxhold: { ...integer(1), description: 'Seconds.' },
        limit: { ...integer(0), description: '0: none.' },
        maxqty: integer(1),
        safety: integer(0),
        start: { ...integer(0), description: 'Unix ms; 0: none.' },
        end: { ...integer(0), description: 'Unix ms; 0: none.' },
        price: { $ref: '#/$defs/money' },
        seller: nameOrNull,
        paused: { type: 'boolean' },
      },
    },
  },
} as const
