/**
 * What can be wrong with an agent's configuration. Values of secrets are never part of a message.
 */
import { errorTable, type HanseError } from '#base'

export const configError = errorTable({
  CONFIG_FILE_UNREADABLE: {
    status: 500,
    message: (facts: { file: string; reason: string }) => `Cannot read configuration "${facts.file}": ${facts.reason}`,
  },
  CONFIG_UNKNOWN_KEY: {
    status: 400,
    message: (facts: { key: string; place: string; nearest?: string }) =>
      `Cannot use key "${facts.key}" at ${facts.place}: no such key${facts.nearest === undefined ? '' : `, the nearest known one is "${facts.nearest}"`}`,
    hint: () => 'docs/configuration.md lists every key',
  },
  CONFIG_WRONG_TYPE: {
    status: 400,
    message: (facts: { key: string; place: string; expected: string; got: string }) =>
      `Cannot use key "${facts.key}" at ${facts.place}: expected ${facts.expected}, got ${facts.got}`,
  },
  CONFIG_INVALID_VALUE: {
    status: 400,
    message: (facts: { key: string; place: string; problem: string }) =>
      `Cannot use the value of "${facts.key}" at ${facts.place}: ${facts.problem}`,
  },
  CONFIG_CONFLICT: {
    status: 400,
    message: (facts: { keys: string; problem: string }) => `Cannot start with ${facts.keys}: ${facts.problem}`,
  },
  CONFIG_FLAG: {
    status: 400,
    message: (facts: { flag: string; problem: string }) => `Cannot use flag "-${facts.flag}": ${facts.problem}`,
    hint: () => '`hanse agent -h` lists the flags',
  },
  CONFIG_CLIENT_UNSUPPORTED: {
    status: 400,
    message: (facts: { place: string }) =>
      `Cannot start with "server" at ${facts.place}: false, and Hanse runs servers only; a client agent of Consul can join its datacenter`,
    hint: () => 'Set server = true (or -server); a machine that only has services registers them at a server',
  },
  CONFIG_SEVERAL: {
    status: 400,
    message: (facts: { count: number; problems: readonly string[] }) =>
      `Cannot use the configuration, ${facts.count} problems:${facts.problems.map((problem) => `\n  * ${problem}`).join('')}`,
  },
})

/** Collects problems, so that one start names all of them. */
export class ConfigProblems {
  readonly #problems: HanseError[] = []

  add(problem: HanseError): void {
    this.#problems.push(problem)
  }

  /** @throws HanseError the one problem, or CONFIG_SEVERAL; nothing when there is none */
  throwAny(): void {
    const [first] = this.#problems
    if (!first) return
    if (this.#problems.length === 1) throw first
    const problems = this.#problems.map((problem) => problem.message)
    throw configError('CONFIG_SEVERAL', { count: problems.length, problems })
  }
}
