// What a server says to bytes until it closes the connection.

import { connect } from 'node:net'
import { within } from './eventually.ts'

export async function toldUntilClosed(port: number, bytes: Uint8Array | string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let text = ''
  const over = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })
  socket.write(bytes)
  await within('its end', over)
  return text
}
