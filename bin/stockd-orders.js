#!/usr/bin/env -S node --disable-proto=delete
// The companion that moves orders into a database, and looks at them there: the sources in a checkout, the built files in a package.

import { existsSync } from 'node:fs'

// The same for whoever starts this file with `node`: no name that comes from outside may ever reach a prototype.
delete Object.prototype.__proto__

var wanted = 24
if (Number(process.versions.node.split('.')[0]) < wanted) {
  console.error(
    'stockd-orders needs Node.js ' +
      wanted +
      ' or newer, this is ' +
      process.version +
      '. In a checkout, `npx stockd-orders` brings its own.',
  )
  process.exit(4)
}

var source = new URL('../src/cli/orders/program.ts', import.meta.url)
var built = new URL('../dist/src/cli/orders/program.js', import.meta.url)
import(existsSync(source) ? source.href : built.href).then(function (cli) {
  return cli.main(process.argv.slice(2))
})
