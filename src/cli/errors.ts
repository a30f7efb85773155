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
  ARGUMENT_COUNT: {
    status: 400,
    message: ({ name, wanted, given }: { name: string; wanted: string; given: number; usage: string }) =>
      `Run "${name}": it takes ${wanted === '0' ? 'no' : wanted} argument${wanted === '1' ? '' : 's'}: ${given} given`,
    hint: ({ usage }: { name: string; wanted: string; given: number; usage: string }) => usage,
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
  FILE_EXISTS: {
    status: 400,
    message: ({ path }: { path: string }) => `${path} already exists.`,
    hint: () => 'it is not overwritten: move it away first, or work in another directory',
  },
  CA_UNREADABLE: {
    status: 400,
    message: ({ path, reason }: { path: string; reason: string }) => `Read CA "${path}": ${reason}`,
    hint: () => 'make a CA with `hanse tls ca create`, or name its files with -ca and -key',
  },
  NO_SIDECAR: {
    status: 404,
    message: ({ service }: { service: string }) => `No sidecar proxy registered for ${service}`,
    hint: () => 'register the service with "connect": {"sidecar_service": {}}, or name its proxy with -proxy-id',
  },
  LOCK_CONFLICT: {
    status: 409,
    message: ({ key, reason }: { key: string; reason: string }) => `Lock "${key}": ${reason}`,
    hint: () => 'all who use a prefix must agree on -n, and nothing else may use it',
  },
  INPUT_TOO_LARGE: {
    status: 400,
    message: ({ source, limitBytes }: { source: string; limitBytes: number }) =>
      `Read "${source}": it is larger than ${limitBytes} bytes`,
  },
  /** `doing` is the frame that Consul's users know ("Error listing services"); the hint is that of the reason. */
  REQUEST_FAILED: {
    status: 500,
    message: ({ doing, reason }: { doing: string; reason: string; hint: string }) => `${doing}: ${reason}`,
    hint: ({ hint }: { doing: string; reason: string; hint: string }) => hint,
  },
})
