// Runs after every test file: what it started is ended, what it wrote is removed.

import { afterAll } from 'vitest'
import { endRabbitMqs } from './rabbitmq.ts'
import { killServers } from './server.ts'
import { removeTempDirs } from './temp-dir.ts'

afterAll(async () => {
  await Promise.all([killServers(), endRabbitMqs()])
  removeTempDirs()
})
