// Numbers that a command has chosen (rows, arguments), to be written once it is known how many there are. Used again and again; grows, and
// shrinks when it is huge.

const SIZE = 1024
const KEPT_MAX = 1024 * 1024

export class Chosen {
  numbers = new Int32Array(SIZE)
  length = 0

  add(n: number): void {
    if (this.length === this.numbers.length) {
      const numbers = new Int32Array(this.length * 2)
      numbers.set(this.numbers)
      this.numbers = numbers
    }
    this.numbers[this.length++] = n
  }

  reset(): void {
    this.length = 0
    if (this.numbers.length > KEPT_MAX) this.numbers = new Int32Array(SIZE)
  }
}
