/** Tests that have a short form for every run and a long one: `HANSE_LONG=1`. */
import { env } from 'node:process'

export const LONG = env['HANSE_LONG'] === '1'

/** How often something is done. */
export function rounds(short: number, long: number): number {
  return LONG ? long : short
}
