/**
 * What is wrong with a command line.
 */
import { errorTable } from '#base'

export const cliError = errorTable({
  COMMAND_UNKNOWN: {
    status: 400,
    message: ({ name }: { name: string; nearest: string }) => `Run "${name}": there is no such command`,
    hint: ({ nearest }: { name: string; nearest: string }) =>
      nearest === ''
        ? '`hanse help` lists the commands'
        : `did you mean "${nearest}"? \`hanse help\` lists the commands`,
  },
  FLAG_UNKNOWN: {
    status: 400,
    message: ({ flag }: { flag: string; nearest: string }) => `Read flag "-${flag}": there is no such flag`,
    hint: ({ nearest }: { flag: string; nearest: string }) =>
      nearest === '' ? 'add -h for the flags of this command' : `did you mean "-${nearest}"?`,
  },
  FLAG_VALUE: {
    status: 400,
    message: ({ flag, value, wanted }: { flag: string; value: string; wanted: string }) =>
      `Read flag "-${flag}": ${value === '' ? `${wanted} is missing` : `"${value}" is not ${wanted}`}`,
  },
  ARGUMENTS: {
    status: 400,
    message: ({ message }: { message: string }) => message,
  },
  FILE_UNREADABLE: {
    status: 400,
    message: ({ path, reason }: { path: string; reason: string }) => `Read "${path}": ${reason}`,
  },
  FILE_UNWRITABLE: {
    status: 400,
    message: ({ path, reason }: { path: string; reason: string }) => `Write "${path}": ${reason}`,
  },
})
