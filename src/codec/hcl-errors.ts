/**
 * What can be wrong with a configuration text, in HCL or JSON: syntax, size, depth.
 *
 * The `problem` fact is the parser's own sentence, without file and place: callers that print another frame round it
 * (ACL rules: `At 1:8: …`) build that from `line`, `column` and `problem`.
 */
import { errorTable } from '#base'

type Place = { file: string; line: number; column: number; problem: string }

export const textError = errorTable({
  HCL_SYNTAX: {
    status: 400,
    message: (facts: Place) =>
      `Cannot parse HCL "${facts.file}" at line ${facts.line}, column ${facts.column}: ${facts.problem}`,
  },
  JSON_SYNTAX: {
    status: 400,
    message: (facts: Place) =>
      `Cannot parse JSON "${facts.file}" at line ${facts.line}, column ${facts.column}: ${facts.problem}`,
  },
  TEXT_TOO_LARGE: {
    status: 413,
    message: (facts: { file: string; size: number; limit: number }) =>
      `Cannot parse "${facts.file}": ${facts.size} characters, the limit is ${facts.limit}`,
    hint: () => 'Split the file; a configuration directory reads all its files',
  },
})
