/** What is wrong with a watch, and how its handlers fail. No URL of a handler is in a message: they hold secrets. */
import { errorTable } from '#base'

export const watchError = errorTable({
  WATCH_NO_TYPE: {
    status: 400,
    message: (_: Record<never, never>) => 'Watch type must be specified',
  },
  WATCH_TYPE_UNKNOWN: {
    status: 400,
    message: ({ type, known }: { type: string; known: readonly string[] }) =>
      `Watch type "${type}" is not known; there are ${known.join(', ')}`,
  },
  WATCH_PARAMETER_MISSING: {
    status: 400,
    message: ({ type, parameter }: { type: string; parameter: string }) =>
      `A watch of type "${type}" needs "${parameter}"`,
  },
  WATCH_NO_INDEX: {
    status: 500,
    message: ({ path }: { path: string }) => `Cannot watch "${path}": the answer has no index`,
  },
  WATCH_HANDLER_FAILED: {
    status: 500,
    message: ({ reason }: { reason: string }) => `Error executing handler: ${reason}`,
  },
})
