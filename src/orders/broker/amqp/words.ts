// What a broker's error means, in words that say what to do. Codes and texts are those of RabbitMQ, of amqplib and of Node's sockets.
//
// No password is in any of them: addresses are named without it, and what looks like one in a text from outside is cut out.

import type { AmqpAddress } from './address.ts'
import type { Topology } from '../topology.ts'

export interface WordsContext {
  readonly address: AmqpAddress
  readonly topology: Topology
  readonly role: 'publisher' | 'consumer'
}

export function brokerWords(error: unknown, { address, topology, role }: WordsContext): string {
  const text = withoutSecrets(textOf(error))
  const at = address.name
  const user = JSON.stringify(address.username)
  const onVhost = `-p ${quoted(address.vhost)} `
  const code = codeOf(error)
  switch (code) {
    case 'ECONNREFUSED':
      return `nobody listens at ${at}: is RabbitMQ started there, and are host and port right?`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${address.hostname} of ${at} has no address (${code}): is it spelled right, does the name service answer?`
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `${at} does not answer (${code}): is the machine up, does a firewall let this one through?`
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return `${at} does not speak TLS on this port: amqp:// with its port, or amqps:// with the TLS port (usually 5671)`
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_GET_ISSUER_CERT':
      return `the certificate of ${at} is signed by nobody that is trusted here (${code}): give its authority's certificate as the CA option`
    case 'CERT_HAS_EXPIRED':
      return `the certificate of ${at} has expired: renew it on the broker`
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `the certificate of ${at} is for another name: connect by a name that it lists, or renew it with this one (${text})`
    default:
      break
  }
  // What is wrong with a file has a code of the library below TLS; the talk with the broker has ERR_SSL_.
  if (typeof code === 'string' && /^ERR_OSSL_|X509|KEY_VALUES/.test(code)) {
    return `the certificate or key for ${at} cannot be used (${code}): they are PEM texts, and the key is the certificate's own`
  }
  if (typeof code === 'string' && /^ERR_SSL_/.test(code)) {
    return `TLS with ${at} failed (${code}): does the broker want a client certificate (options for certificate and key)?`
  }
  if (/connect ETIMEDOUT/.test(text)) return `${at} takes connections but does not answer: is it RabbitMQ, or is it stuck?`
  if (code === 'ECONNRESET' || code === 'EPIPE' || /Socket closed abruptly during opening|Unexpected close/i.test(text)) {
    return `${at} closed the connection: it stopped, or this is not an AMQP port (TLS ports want amqps://)`
  }
  if (/Login was refused|ACCESS_REFUSED - Login/.test(text)) {
    const guest = address.username === 'guest' ? "; the user guest may only connect from the broker's own machine" : ''
    return `${at} refuses user ${user}: wrong name or password (rabbitmqctl authenticate_user tells)${guest}`
  }
  // amqplib does not tell what the broker said here; only these two end the opening in this way.
  if (/Expected ConnectionOpenOk/.test(text)) {
    const { configure, write, read } = topology.permissions(role, true)
    return (
      `${at}: there is no vhost ${JSON.stringify(address.vhost)}, or user ${user} may not enter it: rabbitmqctl add_vhost ${quoted(address.vhost)}; ` +
      `rabbitmqctl set_permissions ${onVhost}${quoted(address.username)} '${configure}' '${write}' '${read}'`
    )
  }
  if (code === 406) return inequivalent(text, at, onVhost) ?? `${at}: ${text}`
  if (code === 403) {
    const what = /access to (\w+) '([^']+)'/.exec(text)
    const thing = what === null ? 'something' : `${what[1]} ${what[2]}`
    const { configure, write, read } = topology.permissions(role, true)
    return (
      `${at}: user ${user} may not use ${thing}; what it needs: ` +
      `rabbitmqctl set_permissions ${onVhost}${quoted(address.username)} '${configure}' '${write}' '${read}'`
    )
  }
  if (code === 404) {
    const what = /no (exchange|queue) '([^']+)'/.exec(text)
    if (what !== null) return `${at}: there is no ${what[1]} ${what[2]}, and user ${user} may not make it`
  }
  if (code === 320) return `${at} closes its connections: it is stopped or restarted (${text})`
  if (/Heartbeat timeout/.test(text)) return `${at} has been silent for more than two heartbeats: the machine or the network is gone`
  return `${at}: ${text}`
}

/** "PRECONDITION_FAILED - inequivalent arg 'x' for queue 'q' in vhost '/': received 'a' but current is 'b'" */
function inequivalent(text: string, at: string, onVhost: string): string | null {
  const found = /inequivalent arg '([^']+)' for (queue|exchange) '([^']+)' in vhost '.*?': received (.*) but current is (.*?)"?$/.exec(text)
  if (found === null) return null
  const [, argument, kind, name, ours, theirs] = found
  const remedy =
    kind === 'queue'
      ? `rabbitmqctl delete_queue ${onVhost}${quoted(name)} and it is made again as it should be (what it holds and is not in the database is ` +
        `published again from the log)${argument === 'x-max-length-bytes' ? ", or give the option of the queues' bytes that value" : ''}`
      : `choose another prefix or exchange, or delete that exchange`
  return `${at}: ${kind} ${name} exists with other arguments: ${argument} is ${theirs}, and not ${ours}; ${remedy}`
}

export function codeOf(error: unknown): string | number | null {
  if (typeof error !== 'object' || error === null) return null
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' || typeof code === 'number') return code
  // An address with several IPs fails with all of their errors at once.
  const { errors } = error as { errors?: unknown }
  return Array.isArray(errors) && errors.length > 0 ? codeOf(errors[0]) : null
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export function withoutSecrets(text: string): string {
  return text.replace(/(amqps?:\/\/)[^\s@]*@/g, '$1...@').trim()
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
