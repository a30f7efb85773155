/**
 * What can keep `hanse up` from starting a federation on this machine.
 */
import { errorTable } from '#base'

export const localError = errorTable({
  UP_DATACENTERS: {
    status: 400,
    message: ({ value, reason }: { value: string; reason: string }) => `Read -datacenters "${value}": ${reason}`,
    hint: () => 'two or more names of lower-case letters, digits, - and _, the primary first: -datacenters dc1,dc2',
  },
  UP_SERVERS: {
    status: 400,
    message: ({ value, limit }: { value: number; limit: number }) =>
      `Read -servers "${value}": a datacenter on one machine has 1 to ${limit}`,
    hint: () => 'three survive the loss of one: -servers 3',
  },
  UP_RESUME_DIFFERS: {
    status: 400,
    message: ({ path, held, asked }: { path: string; held: string; asked: string }) =>
      `Resume "${path}": it holds the datacenters ${held}: ${asked} were asked for`,
    hint: () => 'leave -datacenters out to resume, or choose another -data-dir',
  },
  UP_RESUME_SETTING: {
    status: 400,
    message: ({ path, flag, held, asked }: { path: string; flag: string; held: string; asked: string }) =>
      `Resume "${path}": it was set up with -${flag}=${held}: -${flag}=${asked} was asked for`,
    hint: ({ flag }: { path: string; flag: string; held: string; asked: string }) =>
      `leave -${flag} out to resume, or choose another -data-dir`,
  },
  UP_REFUSED: {
    status: 500,
    message: ({ path, statusCode, reason }: { path: string; statusCode: number; reason: string }) =>
      `PUT "${path}": answered ${statusCode}: ${reason}`,
    hint: () => 'the logs of all processes are in the data directory',
  },
  UP_PLAN_UNREADABLE: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) => `Resume from "${path}": ${reason}`,
    hint: ({ path }: { path: string; reason: string }) => `choose another -data-dir, or remove "${path}" to begin anew`,
  },
  UP_PORT_TAKEN: {
    status: 500,
    message: ({ port, use }: { port: number; use: string }) =>
      `Listen on 127.0.0.1:${port} (${use}): the port is in use`,
    hint: () => 'stop what listens there, or choose another -base-port',
  },
  UP_NO_FREE_PORT: {
    status: 500,
    message: ({ draws }: { draws: number }) => `Find a free port on 127.0.0.1: ${draws} were tried, all are in use`,
    hint: () => 'choose them yourself: -base-port',
  },
  UP_PROCESS_ENDED: {
    status: 500,
    message: ({ name, how, log, lines }: { name: string; how: string; log: string; lines: readonly string[] }) =>
      `Start ${name}: it ended with ${how} (log: ${log})${lines.map((line) => `\n    ${line}`).join('')}`,
  },
  UP_TIMEOUT: {
    status: 500,
    message: ({ what, seconds, reason }: { what: string; seconds: number; reason: string }) =>
      `Wait for ${what}: not there after ${seconds} s${reason === '' ? '' : `: ${reason}`}`,
    hint: () => 'the logs of all processes are in the data directory',
  },
})
