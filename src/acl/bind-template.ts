/**
 * Names with variables: `web-${serviceaccount.name}`. Plain text and `${variable}`; `$${` stands for `${`.
 *
 * A variable that has no value is an error and never an empty text: a name must not become another, existing one.
 *
 * Source: the public binding rule reference; refusals as in the CLI recordings.
 */

/** What is wrong with a template; the message has line and column. */
export class TemplateProblem extends Error {}

/** Longest template, in characters. */
export const MAX_TEMPLATE_CHARACTERS = 4096

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_.-]*$/

/**
 * Fills the variables in.
 *
 * @param variables - `serviceaccount.name` → its value
 * @throws TemplateProblem
 */
export function fillTemplate(template: string, variables: ReadonlyMap<string, string>): string {
  if (template.length > MAX_TEMPLATE_CHARACTERS) {
    throw new TemplateProblem(`${template.length} characters, the limit is ${MAX_TEMPLATE_CHARACTERS}`)
  }
  let filled = ''
  let at = 0
  for (;;) {
    const dollar = template.indexOf('${', at)
    if (dollar === -1) return filled + template.slice(at)
    if (dollar > at && template[dollar - 1] === '$') {
      filled += `${template.slice(at, dollar - 1)}\${`
      at = dollar + 2
      continue
    }
    const end = template.indexOf('}', dollar)
    if (end === -1) throw problem(template, dollar, 'expected "}" before the end of the template')
    const inner = template.slice(dollar + 2, end)
    const name = inner.trim()
    const start = dollar + 2 + (inner.length - inner.trimStart().length)
    const value = variables.get(name)
    if (value === undefined) {
      const what = VARIABLE.test(name) ? `unknown variable accessed: ${name}` : `expected a variable, found "${name}"`
      throw problem(template, start, what)
    }
    filled += template.slice(at, dollar) + value
    at = end + 1
  }
}

function problem(template: string, offset: number, what: string): TemplateProblem {
  const before = template.slice(0, offset)
  const line = before.split('\n').length
  const column = offset - before.lastIndexOf('\n')
  return new TemplateProblem(`${line}:${column}: ${what}`)
}
