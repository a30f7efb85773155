/**
 * cli/: one file per command, loaded when called; main.ts is the program. All but `agent` talk through client/ only.
 */
export { run } from './main.ts'
