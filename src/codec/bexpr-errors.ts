/**
 * What can be wrong with a filter.
 */
import { errorTable } from '#base'

export const filterError = errorTable({
  /** 500, not 400: what Consul's clients get. `problem` alone for other frames (`Filter for subset "v1" …`). */
  FILTER_INVALID: {
    status: 500,
    message: (facts: { problem: string }) => `Failed to create boolean expression evaluator: ${facts.problem}`,
  },
})
