/**
 * Regular expressions of the RE2 dialect, matched in time linear in the text.
 *
 * A filter comes from whoever may call the API, and a backtracking engine can be held for minutes by a short pattern.
 * So the pattern is compiled to a small machine whose states all advance together, character by character.
 * No captures, no look-around, no back-references: RE2 has the first two either not or nobody needs them for a filter.
 *
 * Source: R. Cox, "Regular Expression Matching: the Virtual Machine Approach"; RE2 syntax page.
 */

import {
  type CharTest,
  isWordCode,
  MAX_PATTERN_CHARACTERS,
  parseRegex,
  type RegexAssertion,
  type RegexNode,
  RegexProblem,
} from './bexpr-regex-parse.ts'

/** Most states after `{n,m}` is written out. */
export const MAX_PATTERN_STATES = 5000

type State =
  | { op: 'char'; test: CharTest; next: number }
  | { op: 'assert'; assertion: RegexAssertion; next: number }
  | { op: 'split'; next: number; other: number }
  | { op: 'match' }

/**
 * Compiles a pattern.
 *
 * @returns whether the pattern matches anywhere in a text
 * @throws RegexProblem
 */
export function compileRegex(pattern: string): (text: string) => boolean {
  if (pattern.length > MAX_PATTERN_CHARACTERS) throw new RegexProblem('expression too long')
  const states: State[] = []
  const start = emit(parseRegex(pattern), add(states, { op: 'match' }), states)
  return (text) => run(states, start, text)
}

function add(states: State[], state: State): number {
  if (states.length >= MAX_PATTERN_STATES) throw new RegexProblem('expression too large')
  return states.push(state) - 1
}

/** Appends the states of a node that go on to `next`; returns where it begins. */
function emit(node: RegexNode, next: number, states: State[]): number {
  switch (node.type) {
    case 'char':
      return add(states, { op: 'char', test: node.test, next })
    case 'assert':
      return add(states, { op: 'assert', assertion: node.assertion, next })
    case 'sequence':
      return node.parts.reduceRight((after, part) => emit(part, after, states), next)
    case 'either':
      return node.options
        .map((option) => emit(option, next, states))
        .reduceRight((other, first) => add(states, { op: 'split', next: first, other }))
    case 'repeat':
      return emitRepeat(node, next, states)
  }
}

function emitRepeat(node: RegexNode & { type: 'repeat' }, next: number, states: State[]): number {
  let after = next
  if (node.max === Number.POSITIVE_INFINITY) {
    const loop = add(states, { op: 'split', next, other: next })
    states[loop] = { op: 'split', next: emit(node.inner, loop, states), other: next }
    after = loop
  } else {
    for (let count = node.min; count < node.max; count++) {
      // One split per round at least, so that the limit on states ends this too.
      after = add(states, { op: 'split', next: emit(node.inner, after, states), other: next })
    }
  }
  for (let count = 0; count < node.min; count++) {
    const before = states.length
    after = emit(node.inner, after, states)
    // Nothing was emitted: the inner part is empty, and a thousand times nothing, nested, would take for ever.
    if (states.length === before) break
  }
  return after
}

function run(states: readonly State[], start: number, text: string): boolean {
  const seen = new Uint32Array(states.length)
  let step = 0
  let current: number[] = []
  const stack: number[] = []
  /** Adds a state and all it leads to without a character; true when that is the end of the pattern. */
  const reach = (from: number, into: number[], offset: number): boolean => {
    stack.push(from)
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (seen[at] === step) continue
      seen[at] = step
      const state = states[at]
      if (!state) continue
      if (state.op === 'match') return true
      if (state.op === 'split') stack.push(state.other, state.next)
      else if (state.op === 'char') into.push(at)
      else if (holds(state.assertion, text, offset)) stack.push(state.next)
    }
    return false
  }
  for (let offset = 0; ; ) {
    // The same step number as the states that arrived by a character: each state is entered once per offset.
    if (step === 0) step = 1
    if (reach(start, current, offset)) return true
    const code = text.codePointAt(offset)
    if (code === undefined) return false
    offset += code > 0xffff ? 2 : 1
    step++
    const following: number[] = []
    for (const at of current) {
      const state = states[at]
      if (state?.op === 'char' && state.test(code) && reach(state.next, following, offset)) return true
    }
    current = following
  }
}

function holds(assertion: RegexAssertion, text: string, offset: number): boolean {
  const wordBoundary = () => isWordCode(text.charCodeAt(offset - 1)) !== isWordCode(text.charCodeAt(offset))
  switch (assertion) {
    case 'start':
      return offset === 0
    case 'end':
      return offset === text.length
    case 'lineStart':
      return offset === 0 || text[offset - 1] === '\n'
    case 'lineEnd':
      return offset === text.length || text[offset] === '\n'
    case 'word':
      return wordBoundary()
    case 'notWord':
      return !wordBoundary()
  }
}
