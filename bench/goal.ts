// What a figure has to reach, and whether it does. The numbers are those of the project's targets.

/** `short`: there is only a stretch goal, and it is not reached. */
export type Verdict = 'stretch' | 'require' | 'short' | 'MISSED'

export interface Goal {
  /** What is compared: a ratio stockd / redis, or a number with the figure's unit. */
  readonly of: string
  readonly better: 'more' | 'less'
  readonly require: number | null
  readonly stretch: number | null
}

export const atLeast = (of: string, require: number | null, stretch: number | null = null): Goal => ({
  of,
  better: 'more',
  require,
  stretch,
})
export const atMost = (of: string, require: number | null, stretch: number | null = null): Goal => ({
  of,
  better: 'less',
  require,
  stretch,
})

/** `values` has a number for every `of`. Null: there is no goal. */
export function judge(goals: readonly Goal[], values: ReadonlyMap<string, number>): Verdict | null {
  if (goals.length === 0) return null
  const reaches = (goal: Goal, bound: number): boolean => {
    const value = values.get(goal.of)
    if (value === undefined) throw new Error(`nothing was measured for ${goal.of}`)
    return goal.better === 'more' ? value >= bound : value <= bound
  }
  if (goals.some((goal) => goal.require !== null && !reaches(goal, goal.require))) return 'MISSED'
  if (goals.every((goal) => goal.stretch === null || reaches(goal, goal.stretch))) return 'stretch'
  return goals.some((goal) => goal.require !== null) ? 'require' : 'short'
}

/** `ops >= 1.8x, CPU <= 1.2x` */
export function boundsText(goals: readonly Goal[], which: 'require' | 'stretch', unit: string): string {
  return goals
    .filter((goal) => goal[which] !== null)
    .map((goal) => `${goal.of} ${goal.better === 'more' ? '>=' : '<='} ${goal[which]}${unit}`)
    .join(', ')
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
