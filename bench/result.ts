/**
 * What a benchmark answers: one number per question, beside a yardstick measured in the same run on the same machine.
 *
 * Machines differ and are shared; a ratio to something bare and well known can still be compared tomorrow.
 */

/** What is to be reached: a ratio to the yardstick, or a value in the question's unit. */
export type Goal =
  | { readonly ratioAtMost: number }
  | { readonly ratioAtLeast: number }
  | { readonly valueAtMost: number }
  | { readonly valueAtLeast: number }

export interface BenchResult {
  /** What was asked, for a reader who has not seen the code. */
  readonly question: string
  readonly unit: string
  readonly value: number
  /** The same work done by the bare means that the question names. */
  readonly yardstick: number
  /** `value / yardstick`; whether more is better follows from the unit. */
  readonly ratio: number
  readonly goal?: Goal
}

export function benchResult(
  question: string,
  unit: string,
  value: number,
  yardstick: number,
  goal?: Goal,
): BenchResult {
  const rounded = (number: number) => Number(number.toPrecision(4))
  return {
    question,
    unit,
    value: rounded(value),
    yardstick: rounded(yardstick),
    ratio: rounded(value / yardstick),
    ...(goal && { goal }),
  }
}

/** Undefined where there is no goal. */
export function isReached({ value, ratio, goal }: BenchResult): boolean | undefined {
  if (goal === undefined) return undefined
  if ('ratioAtMost' in goal) return ratio <= goal.ratioAtMost
  if ('ratioAtLeast' in goal) return ratio >= goal.ratioAtLeast
  return 'valueAtMost' in goal ? value <= goal.valueAtMost : value >= goal.valueAtLeast
}
