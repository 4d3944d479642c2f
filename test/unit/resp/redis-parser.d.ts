// The part of redis-parser that the tests use; the package brings no types.
declare module 'redis-parser' {
  export default class RedisParser {
    constructor(options: { returnBuffers: boolean; returnReply: (reply: never) => void; returnError: (error: Error) => void })
    execute(bytes: Buffer): void
  }
}
