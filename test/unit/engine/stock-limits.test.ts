// How long names may be, how many items and how big numbers: one below, at, and one above each limit. On the model too, so that both
// read the contract the same way.

import { describe, expect, it } from 'vitest'
import { EngineStage } from '../../model/engine-stage.ts'
import { ModelStage } from '../../model/model-stage.ts'
import { show } from '../../model/reply-value.ts'

const NOW = 1_700_000_000_000
const items = (n: number, name = (i: number): string => `sku${i}`): string[] => Array.from({ length: n }, (_, i) => [name(i), '1']).flat()

/** The setting, the command, and how its answer begins. */
const cases: [what: string, setting: string[][], command: string[], answer: string][] = [
  ['an order id of 128 bytes', [['STOCK.CREATE', 's', '9']], ['STOCK.RESERVE', 'o'.repeat(128), 'ITEMS', 's', '1'], 'OK '],
  ['an order id of 129 bytes', [['STOCK.CREATE', 's', '9']], ['STOCK.RESERVE', 'o'.repeat(129), 'ITEMS', 's', '1'], '-ERR'],
  ['an order id of 129 bytes elsewhere', [], ['STOCK.CONFIRM', 'o'.repeat(129)], '-ERR'],
  ['an order id of no bytes', [], ['STOCK.RELEASE', ''], '-ERR'],
  ['a SKU of 256 bytes', [], ['STOCK.CREATE', 's'.repeat(256), '9'], '1'],
  ['a SKU of 257 bytes', [], ['STOCK.CREATE', 's'.repeat(257), '9'], '-ERR'],
  ['a SKU of 257 bytes among items', [], ['STOCK.RESERVE', 'o', 'ITEMS', 's'.repeat(257), '1'], '-ERR'],
  ['a REF of 256 bytes', [['STOCK.CREATE', 's', '9']], ['STOCK.RESERVE', 'o', 'REF', 'r'.repeat(256), 'ITEMS', 's', '1'], 'OK '],
  ['a REF of 257 bytes', [['STOCK.CREATE', 's', '9']], ['STOCK.RESERVE', 'o', 'REF', 'r'.repeat(257), 'ITEMS', 's', '1'], '-ERR'],
  ['a payment REF of 257 bytes', [], ['STOCK.CONFIRM', 'o', 'REF', 'r'.repeat(257)], '-ERR'],
  ['a REASON of 32 bytes', [], ['STOCK.RELEASE', 'o', 'REASON', 'a'.repeat(32)], 'OK '],
  ['a REASON of 33 bytes', [], ['STOCK.RELEASE', 'o', 'REASON', 'a'.repeat(33)], '-ERR'],
  ['100 items', [], ['STOCK.RESERVE', 'o', 'ITEMS', ...items(100)], "-NOSKU no such SKU 'sku0'"],
  ['101 items', [], ['STOCK.RESERVE', 'o', 'ITEMS', ...items(101)], '-ERR'],
  ['101 words for 100 items', [], ['STOCK.RESERVE', 'o', 'ITEMS', ...items(101, (i) => `sku${i % 100}`)], "-NOSKU no such SKU 'sku0'"],
  ['a quantity of 10^9', [['STOCK.CREATE', 's', '9007199254740991']], ['STOCK.RESERVE', 'o', 'ITEMS', 's', '1000000000'], 'OK '],
  ['a quantity above 10^9', [['STOCK.CREATE', 's', '9007199254740991']], ['STOCK.RESERVE', 'o', 'ITEMS', 's', '1000000001'], '-ERR'],
  ['a sum above 10^9', [['STOCK.CREATE', 's', '9007199254740991']], ['STOCK.RESERVE', 'o', 'ITEMS', 's', '1000000000', 's', '1'], '-ERR'],
  ['a total of 2^53 - 1', [], ['STOCK.CREATE', 's', '9007199254740991'], '1'],
  ['a total of 2^53', [], ['STOCK.CREATE', 's', '9007199254740992'], '-ERR'],
  ['a total above 2^53 - 1 by restock', [['STOCK.CREATE', 's', '9007199254740991']], ['STOCK.ADJUST', 's', '1', 'ID', 'a'], '-ERR'],
  [
    'a total of 2^53 - 1 by restock',
    [['STOCK.CREATE', 's', '1']],
    ['STOCK.ADJUST', 's', '9007199254740990', 'ID', 'a'],
    'OK 9007199254740991 ',
  ],
  ['a HOLD of 10^8 s', [], ['STOCK.CREATE', 's', '1', 'HOLD', '100000000', 'MAXHOLD', '100000000'], '1'],
  ['a HOLD above 10^8 s', [], ['STOCK.CREATE', 's', '1', 'HOLD', '100000001', 'MAXHOLD', '100000001'], '-ERR'],
  [
    'a huge EX is cut',
    [['STOCK.CREATE', 's', '1', 'HOLD', '1']],
    ['STOCK.RESERVE', 'o', 'EX', '9007199254740991', 'ITEMS', 's', '1'],
    `OK ${NOW + 2000} `,
  ],
  [
    'a huge PX is cut',
    [['STOCK.CREATE', 's', '1', 'HOLD', '1']],
    ['STOCK.RESERVE', 'o', 'PX', '9007199254740991', 'ITEMS', 's', '1'],
    `OK ${NOW + 2000} `,
  ],
]

describe.each(cases)('%s', (_what, setting, command, answer) => {
  it.each([new ModelStage(), new EngineStage()])('gets its answer', (stage) => {
    for (const args of setting) stage.execute(args, NOW, 2, 0)
    const heard = show(stage.execute(command, NOW, 2, 0))
    expect(heard.slice(0, answer.length)).toBe(answer)
    if (!heard.startsWith('-')) return
    // An error has changed nothing: the order and the SKU are as they were.
    for (const [, name, total] of setting) expect(show(stage.execute(['STOCK.GET', name], NOW, 2, 0))).toBe(total)
    if (command[1].length <= 128 && command[1] !== '') expect(show(stage.execute(['STOCK.ORDER', command[1]], NOW, 2, 0))).toBe('(nil)')
  })
})
