/**
 * What can be wrong with JSON bodies, in the words of Go, which Consul's clients print.
 */
import { errorTable } from '#base'

export const goJsonError = errorTable({
  /** `problem` is Go's text; callers put their own frame before it (`Request decode failed: …`). */
  JSON_DECODE: { status: 400, message: (facts: { problem: string }) => facts.problem },
  JSON_ENCODE: { status: 500, message: (facts: { value: string }) => `json: unsupported value: ${facts.value}` },
})
