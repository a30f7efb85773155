/** The variables of this process, for programs that it starts. */
import { env } from 'node:process'

export function environment(): Readonly<NodeJS.ProcessEnv> {
  return env
}
