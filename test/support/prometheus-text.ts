// Reads the text of /metrics, strictly: what Prometheus would complain about throws.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricFamily {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly samples: Sample[]
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

export class Scrape {
  readonly families = new Map<string, MetricFamily>()

  constructor(text: string) {
    if (!text.endsWith('\n')) throw new Error('the last line does not end')
    let family: MetricFamily | null = null
    let help = ''
    const seen = new Set<string>()
    for (const line of text.split('\n')) {
      if (line === '') continue
      const [, kind, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
      if (kind === 'HELP') {
        help = rest
        continue
      }
      if (kind === 'TYPE') {
        if (!NAME.test(name) || this.families.has(name)) throw new Error(`bad or repeated family ${name}`)
        family = { name, help, type: rest, samples: [] }
        this.families.set(name, family)
        continue
      }
      const match = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line)
      if (match === null || family === null) throw new Error(`no sample: ${line}`)
      const value = Number(match[3].replace('+Inf', 'Infinity'))
      if (Number.isNaN(value)) throw new Error(`no number: ${line}`)
      const series = `${match[1]}{${match[2] ?? ''}}`
      if (seen.has(series)) throw new Error(`twice: ${series}`)
      seen.add(series)
      const suffix = match[1].slice(family.name.length)
      const isOf = family.type === 'histogram' ? ['_bucket', '_sum', '_count'].includes(suffix) : suffix === ''
      if (!match[1].startsWith(family.name) || !isOf) throw new Error(`${match[1]} is not of ${family.name}`)
      family.samples.push({ name: match[1], labels: labelsOf(match[2] ?? ''), value })
    }
  }

  /** The value of the one series with these labels. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const samples = this.families.get(name)?.samples ?? []
    const found = samples.filter((sample) => Object.entries(labels).every(([label, word]) => sample.labels[label] === word))
    if (found.length !== 1) throw new Error(`${found.length} series of ${name} ${JSON.stringify(labels)}`)
    return found[0].value
  }

  /** Over all series. */
  sum(name: string): number {
    return (this.families.get(name)?.samples ?? []).reduce((sum, { value }) => sum + value, 0)
  }

  /** How many series there are in all. */
  get size(): number {
    return [...this.families.values()].reduce((sum, { samples }) => sum + samples.length, 0)
  }
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/.exec(rest)
    if (match === null) throw new Error(`bad labels: ${text}`)
    labels[match[1]] = match[2].replaceAll('\\"', '"').replaceAll('\\n', '\n').replaceAll('\\\\', '\\')
    rest = rest.slice(match[0].length)
  }
  return labels
}
